"""What clients are shown of batches that the engine itself no longer runs."""

from evcontrol.api.views import past_batch
from evcontrol.journal.replay import BatchView

BODY = {"recipe": {"name": "Ultrafiltration"}, "product": "", "purpose": "a test", "units": {"tff": "TFF201"}}


def test_the_elements_of_a_past_batch_stand_in_the_order_in_which_they_began() -> None:
    begun = ["", "uf", "uf/preparation", "uf/preparation/flush", "uf/filtration", "uf/filtration/load"]
    begun += ["uf/both", "uf/both/clean", "uf/both/assay", "uf/both/clean/rinse", "uf/both/assay/note"]
    past = BatchView("B-0001", 0, BODY, states=dict.fromkeys(begun, "Stopped"), recipe=BODY["recipe"])
    shown = [element.path for element in past_batch(past).elements]
    assert shown[:7] == begun[:7]
    assert shown[7:] == ["uf/both/clean", "uf/both/clean/rinse", "uf/both/assay", "uf/both/assay/note"]
