"""What every driver promises, as tests that any driver can be run against, a third party's too.

A test module of the driver's own package makes a :class:`Rig` (its device or a simulator of it, started, changed and
broken on demand) and lets the suite loose on it::

    class TestMeter(DriverConformance):
        @pytest.fixture
        def rig(self, tmp_path):
            return MeterRig(tmp_path)

The suite needs pytest, which the engine does not: only tests import this package.
"""

from drivers.conformance.declaring import DeclaringPromises
from drivers.conformance.linking import LinkPromises
from drivers.conformance.reading import ReadingPromises
from drivers.conformance.rig import Rig, RigTag, Trouble
from drivers.conformance.writing import WritingPromises


class DriverConformance(DeclaringPromises, LinkPromises, ReadingPromises, WritingPromises):
    """Everything that :mod:`drivers.driver` promises; a subclass provides the fixture ``rig``."""


__all__ = ["DriverConformance", "Rig", "RigTag", "Trouble"]
