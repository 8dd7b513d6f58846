"""A volume of liquid and what is dissolved in it, such that pouring from one to another loses nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

DENSITY_G_PER_ML: Final = 0.998
"""Of everything on the skid: water at 21 degC (CRC Handbook); 2 mg/mL of solutes change it by less than 0.1 %."""

CAUSTIC_CONDUCTIVITY: Final = 220.0
"""mS/cm per mol/L of NaOH (0.1 mol/L reads 22 mS/cm at 25 degC)."""


@dataclass(frozen=True, slots=True)
class Composition:
    """What a stock is made of: protein g/L, vesicles per mL, salt as its conductivity in mS/cm, NaOH mol/L.

    A stock of medium has glucose and lactate (mM), and all its vesicles are foreign to the culture.
    """

    protein_g_per_l: float = 0.0
    evs_per_ml: float = 0.0
    salt_ms_per_cm: float = 0.0
    caustic_mol_per_l: float = 0.0
    glucose_mm: float = 0.0
    lactate_mm: float = 0.0
    foreign: bool = False


@dataclass(slots=True)
class Liquid:
    """Amounts, not concentrations: mL, mg of protein, vesicles, mS/cm x mL of salt, mmol of NaOH, umol of sugars."""

    volume_ml: float = 0.0
    protein_mg: float = 0.0
    evs: float = 0.0
    salt: float = 0.0
    caustic_mmol: float = 0.0
    glucose_umol: float = 0.0
    lactate_umol: float = 0.0
    foreign_evs: float = 0.0
    """Of the vesicles, those that a medium brought with it."""

    @classmethod
    def of(cls, volume_ml: float, made_of: Composition) -> Liquid:
        """So many mL of a composition."""
        return cls(
            volume_ml,
            volume_ml * made_of.protein_g_per_l,
            volume_ml * made_of.evs_per_ml,
            volume_ml * made_of.salt_ms_per_cm,
            volume_ml * made_of.caustic_mol_per_l,
            volume_ml * made_of.glucose_mm,
            volume_ml * made_of.lactate_mm,
            volume_ml * made_of.evs_per_ml * made_of.foreign,
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
        self.glucose_umol += other.glucose_umol
        self.lactate_umol += other.lactate_umol
        self.foreign_evs += other.foreign_evs

    def take(self, volume_ml: float) -> Liquid:
        """Take so many mL of it, well mixed; all of it when it holds less."""
        if volume_ml >= self.volume_ml:
            whole = Liquid()
            whole.add(self)
            for name in Liquid.__slots__:
                setattr(self, name, 0.0)
            return whole
        taken = self._take_shares(*(volume_ml / self.volume_ml,) * 3)
        taken.volume_ml = volume_ml
        self.volume_ml -= volume_ml
        return taken

    def take_solutes(self, protein: float, evs: float, salt: float) -> Liquid:
        """Take shares (0..1) of the solutes without any volume; all that is small goes as the salt does."""
        return self._take_shares(protein, evs, salt)

    def take_evs(self, share: float) -> float:
        """Take a share (0..1) of the vesicles alone, and say how many those are."""
        taken = self.evs * share
        self.evs -= taken
        self.foreign_evs -= self.foreign_evs * share
        return taken

    def _take_shares(self, protein: float, evs: float, small: float) -> Liquid:
        taken = Liquid(
            0.0,
            self.protein_mg * protein,
            self.evs * evs,
            self.salt * small,
            self.caustic_mmol * small,
            self.glucose_umol * small,
            self.lactate_umol * small,
            self.foreign_evs * evs,
        )
        self.protein_mg -= taken.protein_mg
        self.evs -= taken.evs
        self.salt -= taken.salt
        self.caustic_mmol -= taken.caustic_mmol
        self.glucose_umol -= taken.glucose_umol
        self.lactate_umol -= taken.lactate_umol
        self.foreign_evs -= taken.foreign_evs
        return taken


_SOLUTES: Final = tuple(name for name in Liquid.__slots__ if name != "volume_ml")


def exchange(one: Liquid, other: Liquid, share: float) -> None:
    """Bring two well-mixed liquids nearer to one concentration, by a share (0..1) of the way; volumes stay."""
    total = one.volume_ml + other.volume_ml
    if total <= 0.0:
        return
    towards_one = share * one.volume_ml / total
    towards_other = share * other.volume_ml / total
    for name in _SOLUTES:
        here, there = getattr(one, name), getattr(other, name)
        if here or there:
            moved = here * towards_other - there * towards_one
            setattr(one, name, here - moved)
            setattr(other, name, there + moved)


def pass_through(vessel: Liquid, entering: Liquid, leaving_ml: float) -> tuple[Liquid, float]:
    """Let a liquid flow into a well-mixed vessel while ``leaving_ml`` flow out of it, both evenly over one time.

    Returns what left, and the share (0..1) of the vessel's old liquid that is still in it. The entering liquid must not
    be used again. Exact at any length: with C' = F_in (C_in - C)/V the old solutes fall by
    (V0/V1)^(F_out/(F_in - F_out)), or exp(-F/V) at a constant volume.
    """
    before = vessel.volume_ml
    after = before + entering.volume_ml - leaving_ml
    if before <= 0.0 or after <= 0.0 or leaving_ml <= 0.0:
        vessel.add(entering)
        stays = after / (after + leaving_ml) if after + leaving_ml > 0.0 else 0.0
        return vessel.take(leaving_ml), max(0.0, stays)
    change = entering.volume_ml - leaving_ml
    if abs(change) < 1e-9 * before:
        old = math.exp(-leaving_ml / before)
    else:
        old = math.pow(before / after, leaving_ml / change)
    # What entered leaves as well: of it stays what fills the vessel beside the old liquid's share.
    kept = (after - before * old) / entering.volume_ml if entering.volume_ml > 0.0 else 0.0
    out = Liquid(leaving_ml)
    for name in _SOLUTES:
        there, comes = getattr(vessel, name), getattr(entering, name)
        stays = there * old + comes * kept
        setattr(out, name, there + comes - stays)
        setattr(vessel, name, stays)
    vessel.volume_ml = after
    return out, old
