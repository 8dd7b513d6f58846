"""A volume of liquid and what is dissolved in it, such that pouring from one to another loses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DENSITY_G_PER_ML: Final = 0.998
"""Of everything on the skid: water at 21 degC (CRC Handbook); 2 mg/mL of solutes change it by less than 0.1 %."""

CAUSTIC_CONDUCTIVITY: Final = 220.0
"""mS/cm per mol/L of NaOH (0.1 mol/L reads 22 mS/cm at 25 degC)."""


@dataclass(frozen=True, slots=True)
class Composition:
    """What a stock is made of: protein g/L, vesicles per mL, salt as its conductivity in mS/cm, NaOH mol/L."""

    protein_g_per_l: float = 0.0
    evs_per_ml: float = 0.0
    salt_ms_per_cm: float = 0.0
    caustic_mol_per_l: float = 0.0


@dataclass(slots=True)
class Liquid:
    """Amounts, not concentrations: mL, mg of protein, vesicles, mS/cm x mL of salt, mmol of NaOH."""

    volume_ml: float = 0.0
    protein_mg: float = 0.0
    evs: float = 0.0
    salt: float = 0.0
    caustic_mmol: float = 0.0

    @classmethod
    def of(cls, volume_ml: float, made_of: Composition) -> Liquid:
        """So many mL of a composition."""
        return cls(
            volume_ml,
            volume_ml * made_of.protein_g_per_l,
            volume_ml * made_of.evs_per_ml,
            volume_ml * made_of.salt_ms_per_cm,
            volume_ml * made_of.caustic_mol_per_l,
        )

    @property
    def mass_g(self) -> float:
        """Mass at the one density."""
        return self.volume_ml * DENSITY_G_PER_ML

    @property
    def conductivity(self) -> float:
        """Conductivity in mS/cm; salt and caustic add up. 0 without liquid."""
        if self.volume_ml <= 0.0:
            return 0.0
        return (self.salt + CAUSTIC_CONDUCTIVITY * self.caustic_mmol) / self.volume_ml

    def add(self, other: Liquid) -> None:
        """Pour the whole other liquid in; the other must not be used again."""
        self.volume_ml += other.volume_ml
        self.protein_mg += other.protein_mg
        self.evs += other.evs
        self.salt += other.salt
        self.caustic_mmol += other.caustic_mmol

    def take(self, volume_ml: float) -> Liquid:
        """Take so many mL of it, well mixed; all of it when it holds less."""
        if volume_ml >= self.volume_ml:
            whole = Liquid(self.volume_ml, self.protein_mg, self.evs, self.salt, self.caustic_mmol)
            self.volume_ml = self.protein_mg = self.evs = self.salt = self.caustic_mmol = 0.0
            return whole
        share = volume_ml / self.volume_ml
        return Liquid(
            self._less("volume_ml", volume_ml),
            self._less("protein_mg", self.protein_mg * share),
            self._less("evs", self.evs * share),
            self._less("salt", self.salt * share),
            self._less("caustic_mmol", self.caustic_mmol * share),
        )

    def take_solutes(self, protein: float, evs: float, salt: float) -> Liquid:
        """Take shares (0..1) of the solutes without any volume; caustic goes as the salt does."""
        return Liquid(
            0.0,
            self._less("protein_mg", self.protein_mg * protein),
            self._less("evs", self.evs * evs),
            self._less("salt", self.salt * salt),
            self._less("caustic_mmol", self.caustic_mmol * salt),
        )

    def _less(self, name: str, amount: float) -> float:
        setattr(self, name, getattr(self, name) - amount)
        return amount


def exchange(one: Liquid, other: Liquid, share: float) -> None:
    """Bring two well-mixed liquids nearer to one concentration, by a share (0..1) of the way; volumes stay."""
    total = one.volume_ml + other.volume_ml
    if total <= 0.0:
        return
    towards_one = share * one.volume_ml / total
    towards_other = share * other.volume_ml / total
    moved = one.protein_mg * towards_other - other.protein_mg * towards_one
    one.protein_mg -= moved
    other.protein_mg += moved
    moved = one.evs * towards_other - other.evs * towards_one
    one.evs -= moved
    other.evs += moved
    moved = one.salt * towards_other - other.salt * towards_one
    one.salt -= moved
    other.salt += moved
    moved = one.caustic_mmol * towards_other - other.caustic_mmol * towards_one
    one.caustic_mmol -= moved
    other.caustic_mmol += moved
