package windlass.no_skipped_notes_test

import data.windlass.no_skipped_notes

given(acknowledgements) := {
	"settings": {},
	"acknowledgements": acknowledgements,
	"plan": {"changes": [{
		"instance": "db.main", "provider": "db", "environment": "production", "to": "2",
		"notes": [{"name": "collation", "text": "Rebuild the indexes."}],
	}]},
}

read := {"provider": "db", "note": "collation", "version": "2", "instance": null, "by": "ada", "reason": "done"}

test_a_note_that_nobody_read_is_denied if {
	count(no_skipped_notes.deny) == 1 with input as given([])
}

test_one_that_was_read_passes if {
	count(no_skipped_notes.deny) == 0 with input as given([read])
	count(no_skipped_notes.deny) == 0 with input as given([object.union(read, {"instance": "db.main"})])
}

test_for_another_version_or_instance_it_does_not_count if {
	count(no_skipped_notes.deny) == 1 with input as given([object.union(read, {"version": "1"})])
	count(no_skipped_notes.deny) == 1 with input as given([object.union(read, {"instance": "db.other"})])
}

test_a_change_without_notes_passes if {
	count(no_skipped_notes.deny) == 0 with input as {"settings": {}, "acknowledgements": [], "plan": {"changes": [{"environment": "production"}]}}
}
