"""A figure of yesterday is not known: it turns Uncertain at its time, and is Good again when it is set anew."""

import numpy as np

from evcontrol.acquisition.image import ProcessImage
from evcontrol.acquisition.scan import Scan
from evcontrol.clock import NS
from evcontrol.control.expiry import Expiry
from evcontrol.expression import Symbol, compile_condition
from evcontrol.quality import GOOD, UNCERTAIN_EXPIRED
from evcontrol.signals import Tag, TagKind, TagTable

TAG = "U.VIABILITY"


def scan(t_s: float) -> Scan:
    return Scan(0, round(t_s * NS), 0, (), np.empty(0, dtype=np.int32))


def test_it_is_not_known_after_its_time_until_it_is_set_anew() -> None:
    image = ProcessImage(TagTable([Tag(TAG, 0, "", TagKind.ANALOG, 0, 1)]), [TAG])
    set_at = {TAG: 0}
    expiry = Expiry(image, {TAG: 100.0}, set_at)
    condition = compile_condition("U.VIABILITY < 0.8", {TAG: Symbol(TAG, "")})
    image.set_internal(TAG, 0.9)
    expiry.evaluate(scan(100.0))
    assert condition.update(image.resolve, 0) is False
    expiry.evaluate(scan(101.0))
    assert image.reading(TAG) == (0.9, UNCERTAIN_EXPIRED)
    assert condition.update(image.resolve, 0) is None
    image.set_internal(TAG, 0.9)
    set_at[TAG] = 101 * NS
    expiry.evaluate(scan(150.0))
    assert image.reading(TAG).quality == GOOD


def test_what_was_never_set_does_not_expire() -> None:
    image = ProcessImage(TagTable([Tag(TAG, 0, "", TagKind.ANALOG, 0, 1)]), [TAG])
    image.set_internal(TAG, 0.9)
    Expiry(image, {TAG: 100.0}, {}).evaluate(scan(1e6))
    assert image.reading(TAG).quality == GOOD
