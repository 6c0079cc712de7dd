# Every note that a move brings up in production is acknowledged, also those for which the provider does not ask for it.
#
# settings: production = ["production"]  environments that this is about
package windlass.no_skipped_notes

production := object.get(input, ["settings", "production"], ["production"])

acknowledged(change, note) if {
	some given in input.acknowledgements
	given.provider == change.provider
	given.note == note.name
	given.version == change.to
	given.instance in {null, change.instance}
	given.by != ""
}

deny contains objection if {
	some change in input.plan.changes
	change.environment in production
	some note in object.get(change, "notes", [])
	not acknowledged(change, note)
	objection := {
		"id": "no_skipped_notes",
		"msg": sprintf("nobody says to have read the note %s.%s for %s", [change.provider, note.name, change.instance]),
		"help": sprintf("read it; then write: acknowledgement \"%s.%s\" { version = \"%s\"  by = \"…\"  reason = \"…\" }", [
			change.provider,
			note.name,
			change.to,
		]),
		"instance": change.instance,
	}
}
