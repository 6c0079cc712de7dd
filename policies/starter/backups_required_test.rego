package windlass.backups_required_test

import data.windlass.backups_required

upgrade(action, backups) := {
	"now": "2026-11-20T12:00:00Z",
	"settings": {},
	"applied": {"production": {"db.main": {"provider": "db", "version": "1", "hops": [], "backups": backups}}},
	"plan": {
		"actions": [action],
		"changes": [{
			"instance": "db.main", "environment": "production", "decision": "upgrade",
			"from": "1", "to": "2", "hops": [{"actions": [0]}],
		}],
	},
}

nothing := {"kind": {"step": {"call": {"driver": "exec"}}}, "undo": "harmless"}

backup(at, verified) := {"at": at, "verified": verified, "version": "1"}

test_an_upgrade_without_a_backup_is_denied if {
	count(backups_required.deny) == 1 with input as upgrade(nothing, [])
}

test_a_step_that_backs_up_is_enough if {
	count(backups_required.deny) == 0 with input as upgrade({"kind": {"step": {"call": {"driver": "backup"}}}, "undo": "harmless"}, [])
}

test_an_undo_that_puts_data_back_is_enough if {
	undo := {"call": {"call": {"driver": "exec"}, "restores_data": true}}
	count(backups_required.deny) == 0 with input as upgrade(object.union(nothing, {"undo": undo}), [])
}

test_a_young_verified_backup_is_enough if {
	count(backups_required.deny) == 0 with input as upgrade(nothing, [backup("2026-11-20T00:00:00Z", true)])
}

test_an_old_or_unverified_one_is_not if {
	old := [backup("2026-11-18T00:00:00Z", true), backup("2026-11-20T00:00:00Z", false)]
	count(backups_required.deny) == 1 with input as upgrade(nothing, old)
}

test_how_old_can_be_set if {
	given := object.union(upgrade(nothing, [backup("2026-11-18T00:00:00Z", true)]), {"settings": {"backup_hours": 96}})
	count(backups_required.deny) == 0 with input as given
}
