"""``evcontrol check``: every mistake in plant and recipe files, with file, line and what to write instead."""
