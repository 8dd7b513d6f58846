"""Which values of parameters a batch keeps when its recipe is revised."""

from __future__ import annotations

from pathlib import Path

import pytest

from evcontrol.plant.load import load_plant
from evcontrol.procedure.check import bind
from evcontrol.procedure.recipe import parse_recipe
from evcontrol.procedure.revision import parameters_for

PLANT = load_plant(Path(__file__).parents[2] / "config" / "plants" / "demo.yaml")
HEAD = "recipe: R\nversion: 1.0.0\nproduct: P\nunits: {tff: {class: tff}}\nparameters:\n"
TAIL = "procedure: [{unit_procedure: u, unit: tff, steps: [{phase: wait, with: {time: 1 s}}]}]\n"
MASS, FOLLOWS = "  mass: {value: 700 g}\n", "  mass: {value: 700 g, scale_by: cells}\n"
CELLS, MORE = "  cells: {value: 2e9 cell}\n", "  cells: {value: 1e9 cell}\n"


@pytest.mark.parametrize(
    ("old", "new", "given", "values"),
    [
        (MASS + CELLS, MASS + CELLS, {"mass": "800 g"}, {"mass": "800 g", "cells": "2e9 cell"}),
        (MASS + CELLS, MASS.replace("700", "900") + CELLS, {"mass": "800 g"}, {"mass": "900 g", "cells": "2e9 cell"}),
        (MASS + CELLS, MASS, {"mass": "800 g"}, {"mass": "800 g"}),
        (MASS, MASS + CELLS, {"mass": "800 g"}, {"mass": "800 g", "cells": "2e9 cell"}),
        (FOLLOWS + CELLS, FOLLOWS + CELLS, {"cells": "4e9 cell"}, {"mass": "1400 g", "cells": "4e9 cell"}),
        (FOLLOWS + CELLS, FOLLOWS + CELLS, {"cells": "4e9 cell", "mass": "1 g"}, {"mass": "1 g", "cells": "4e9 cell"}),
        (MASS + CELLS, FOLLOWS + CELLS, {"cells": "4e9 cell"}, {"mass": "1400 g", "cells": "4e9 cell"}),
        (FOLLOWS + CELLS, MASS + CELLS, {"cells": "4e9 cell"}, {"mass": "700 g", "cells": "4e9 cell"}),
        (FOLLOWS + CELLS, FOLLOWS + MORE, {"cells": "4e9 cell"}, {"mass": "700 g", "cells": "1e9 cell"}),
    ],
)
def test_what_the_new_text_leaves_as_it_was_keeps_the_batchs_value(
    old: str, new: str, given: dict[str, str], values: dict[str, str]
) -> None:
    before = bind(parse_recipe(HEAD + old + TAIL, "old.yaml"), PLANT, given)
    recipe = parse_recipe(HEAD + new + TAIL, "new.yaml")
    assert bind(recipe, PLANT, parameters_for(before, recipe)).parameters == values
