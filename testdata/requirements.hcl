# The requirements of the four platforms: what each row asks for, and where a provider answers it. `docs/reference/matrix.md` is made of
# this file, of the providers and of the tests that bear a row's id.

row "D01" {
  title = "Observe an instance: version, state, node type, install id, port, integrations"
  by    = ["dss: fact.version", "dss: fact.running", "dss: fact.node_type", "dss: fact.install_id", "dss: fact.port", "dss: fact.integrations"]
}
row "D02" {
  title = "Release notes: attention points stand in the plan, acknowledged for a major upgrade"
  by    = ["dss: note.release_notes", "dss: note.attention"]
}
row "D03" {
  title = "In place: point of no return; refused with neither backup nor waiver"
  by    = ["dss: risk.no_backup", "dss: note.no_way_back", "dss: in_place.back_up"]
}
row "D04" {
  title = "Clone: the old one keeps running, ports moved, other install id, scenarios disabled"
  by    = ["dss: clone.separate", "dss: clone.scenarios_off", "dss: preflight.source_version", "dss: fact.free_block"]
}
row "D05" {
  title = "Export and import: what is lost is listed, and needs a waiver"
  by    = ["dss: risk.export_import_loses", "dss: export_import.move_projects"]
}
row "D06" {
  title = "Before: no job running, stop, backup of all of the data directory"
  by    = ["dss: preflight.jobs", "dss: in_place.await_jobs", "dss: in_place.prove_stopped", "dss: in_place.back_up"]
}
row "D07" {
  title = "Kit verified and unpacked before the stop; installer; missing dependencies found in preflight"
  by    = ["dss: in_place.verify_kit", "dss: in_place.unpack_kit", "dss: in_place.check_dependencies", "dss: in_place.upgrade", "dss: preflight.dependencies"]
}
row "D08" {
  title = "After, before the start: integrations, each only where present"
  by    = ["dss: in_place.install_r", "dss: in_place.install_graphics_export", "dss: in_place.install_hadoop", "dss: in_place.install_spark", "dss: in_place.install_impersonation", "dss: in_place.build_base_image"]
}
row "D09" {
  title = "Start; wait until the instance answers with the new version"
  by    = ["dss: in_place.start", "dss: in_place.verify", "dss: in_place.verify_version"]
}
row "D10" {
  title = "After the start: code environments, models, packages; follow-ups"
  by    = ["dss: in_place.rebuild_code_envs", "dss: in_place.retrain_models", "dss: in_place.make_packages", "dss: note.code_envs_by_hand"]
}
row "D11" {
  title = "Nodes of one estate upgrade in a declared order"
  by    = ["configuration: depends_on"]
}
row "D12" {
  title = "macOS installations are refused with the vendor's advice"
  by    = ["dss: blocked.macos"]
}
row "B01" {
  title = "Full backup of the stopped instance as an archive; jobs checked first"
  by    = ["driver: backup", "dss: in_place.back_up"]
}
row "B02" {
  title = "Incremental backup; an interrupted one never spoils the last good one"
  by    = ["driver: backup"]
}
row "B03" {
  title = "Snapshot method for running instances; a possibly inconsistent backup is marked"
  by    = ["driver: backup", "dss: in_place.first_pass"]
}
row "B04" {
  title = "Exclusion sets by name; leaving data out needs a waiver"
  by    = ["driver: backup", "dss: risk.backup_without_data"]
}
row "B05" {
  title = "Pristine restore: stop, move the content away, restore, start"
  by    = ["command: backup restore"]
}
row "B06" {
  title = "Restore elsewhere or to a newer version; onto an older one refused"
  by    = ["command: backup restore", "dss: note.rework"]
}
row "B07" {
  title = "Scheduled backups with retention; pruned only after a new one verified"
  by    = ["command: backup schedule", "command: backup run"]
}
row "B08" {
  title = "Govern nodes: database and data directory form one matched set"
  by    = ["dss: in_place.dump_database", "dss: in_place.back_up_database", "dss: risk.govern_without_database"]
}
row "B09" {
  title = "Managed setups: the provider's snapshots are used"
  by    = ["driver: backup", "command: backup run"]
}
row "B10" {
  title = "Backups are listed, verified, restored and pruned; the lockfile refers to them"
  by    = ["command: backup list", "command: backup verify", "command: backup restore", "command: backup prune"]
}
row "P01" {
  title = "Observe client and server version, pods, and the deploy command"
  by    = ["pachyderm: fact.client_version", "pachyderm: fact.server_version", "pachyderm: fact.pods", "pachyderm: fact.deploy_command"]
}
row "P02" {
  title = "Below 1.8 to 1.8 or above only by a new deployment; other moves in place"
  by    = ["pachyderm: blocked.in_place_to_1_8", "pachyderm: route.migrate", "pachyderm: migrate.extract", "pachyderm: migrate.restore"]
}
row "P03" {
  title = "Backup before: bucket, volumes, extract"
  by    = ["pachyderm: in_place.copy_bucket", "pachyderm: in_place.snapshot", "pachyderm: in_place.extract", "pachyderm: preflight.backup"]
}
row "P04" {
  title = "The deploy command is recorded and reused to the letter; a difference is drift"
  by    = ["pachyderm: in_place.record", "pachyderm: fact.record", "pachyderm: preflight.same_deploy_command", "pachyderm: preflight.same_storage"]
}
row "P05" {
  title = "Undeploy, upgrade the client, deploy, wait for the pods, compare versions"
  by    = ["pachyderm: in_place.undeploy", "pachyderm: in_place.check_client", "pachyderm: in_place.deploy", "pachyderm: in_place.wait_for_pods", "pachyderm: in_place.verify_versions"]
}
row "P06" {
  title = "Benign errors are tolerated by rule"
  by    = ["pachyderm: in_place.deploy"]
}
row "P07" {
  title = "Stuck pods are deleted a bounded number of times, then reported"
  by    = ["pachyderm: in_place.wait_for_pods", "driver: kubernetes"]
}
row "P08" {
  title = "The client connection is re-established"
  by    = ["pachyderm: in_place.write_connection", "pachyderm: in_place.forward"]
}
row "P09" {
  title = "Metadata migrations are announced in the plan"
  by    = ["pachyderm: note.metadata_migration"]
}
row "K01" {
  title = "Main or minor version by the first two components"
  by    = ["kyligence: route.main", "kyligence: route.minor", "kyligence: note.main_version"]
}
row "K02" {
  title = "3.3.0 and below: the manual procedure, tracked, or refused"
  by    = ["kyligence: blocked.no_upgrade_script", "kyligence: route.by_hand", "kyligence: by_hand.replace"]
}
row "K03" {
  title = "Preflight: unfinished jobs, JDK on every node, HDFS space"
  by    = ["kyligence: preflight.unfinished_jobs", "kyligence: preflight.java", "kyligence: preflight.hdfs_space", "kyligence: minor.wait_for_jobs"]
}
row "K04" {
  title = "Stop; prove that no instance is left running"
  by    = ["kyligence: minor.stop", "kyligence: minor.prove_stopped"]
}
row "K05" {
  title = "Backup of metadata always, of cube data for main versions"
  by    = ["kyligence: minor.export_metadata", "kyligence: minor.back_up_metadata", "kyligence: main.copy_cubes", "kyligence: risk.no_cube_backup"]
}
row "K06" {
  title = "Unpack, upgrade.sh with its log, home path unchanged"
  by    = ["kyligence: minor.unpack", "kyligence: minor.upgrade"]
}
row "K07" {
  title = "From 2.x with several sources the default source is declared"
  by    = ["kyligence: preflight.default_source", "kyligence: note.default_source", "kyligence: main.default_source"]
}
row "K08" {
  title = "Main version: Spark, Tomcat, Kerberos and cluster settings are follow-ups"
  by    = ["kyligence: note.spark_and_tomcat", "kyligence: note.kerberos", "kyligence: note.cluster", "kyligence: main.configure_by_hand"]
}
row "K09" {
  title = "Verify: page, login, a segment, a query, clients; no garbage cleanup before"
  by    = ["kyligence: minor.wait_for_page", "kyligence: minor.log_in", "kyligence: minor.await_segment", "kyligence: minor.query", "kyligence: minor.clients", "kyligence: preflight.garbage_cleanup"]
}
row "K10" {
  title = "Backups are deleted only after verification"
  by    = ["kyligence: minor.delete_backups", "kyligence: clean_up.delete_all_backups"]
}
row "K11" {
  title = "Rollback: old home, metadata and cube data restored, start"
  by    = ["kyligence: minor.guard_cubes", "kyligence: minor.guard_metadata", "kyligence: minor.upgrade"]
}
row "K12" {
  title = "Production only after the same hop was verified in a test environment"
  by    = ["kyligence: risk.untested_production", "configuration: promote_from"]
}
row "A01" {
  title = "Mode chosen by the versions: downtime, semi-downtime, zero-downtime, and why"
  by    = ["dataphin: route.downtime", "dataphin: route.semi_downtime", "dataphin: route.zero_downtime", "dataphin: note.mode"]
}
row "A02" {
  title = "Refused while another upgrade is in progress; wait, or force-stop it"
  by    = ["dataphin: preflight.no_other_upgrade", "dataphin: downtime.wait_for_other", "dataphin: downtime.force_stop_other"]
}
row "A03" {
  title = "Target version's configuration: validated, all missing items listed; import or overwrite"
  by    = ["dataphin: preflight.version_configuration", "dataphin: preflight.missing_items", "dataphin: downtime.import_version"]
}
row "A04" {
  title = "Non-standard configuration: template digest, overlays, values"
  by    = ["dataphin: preflight.template", "dataphin: preflight.overlays", "dataphin: preflight.values"]
}
row "A05" {
  title = "Announcement and risk declaration"
  by    = ["dataphin: downtime.announce", "dataphin: preflight.announcement", "dataphin: note.risk_declaration"]
}
row "A06" {
  title = "Maintenance mode: entered with its time, switches restored, never left on silently"
  by    = ["dataphin: downtime.begin", "dataphin: downtime.prove_maintenance", "dataphin: downtime.await_exit", "dataphin: semi_downtime.exit_maintenance", "dataphin: semi_downtime.verify_switches"]
}
row "A07" {
  title = "History record; a saved configuration can be continued"
  by    = ["dataphin: downtime.save_configuration", "dataphin: downtime.find_upgrade", "dataphin: downtime.complete"]
}
row "A08" {
  title = "Database backup with its states; one database retried alone"
  by    = ["dataphin: downtime.start_backup", "dataphin: downtime.await_backups", "dataphin: downtime.back_up_again", "dataphin: note.rds_backup", "dataphin: note.other_backup", "dataphin: downtime.dump"]
}
row "A09" {
  title = "Semi-downtime: backup, pre-upgrade, applications, leave maintenance, data update"
  by    = ["dataphin: semi_downtime.pre_upgrade", "dataphin: semi_downtime.start_applications", "dataphin: semi_downtime.exit_maintenance", "dataphin: semi_downtime.run_data_updates"]
}
row "A10" {
  title = "Downtime: stop tasks, shutdown, backup, applications, rerun, data update"
  by    = ["dataphin: downtime.stop_tasks", "dataphin: downtime.shutdown", "dataphin: downtime.start_applications", "dataphin: downtime.rerun_tasks", "dataphin: downtime.run_data_updates"]
}
row "A11" {
  title = "Data update tasks: run, stop, skip where allowed; failed messages waived by name"
  by    = ["dataphin: downtime.run_data_updates", "dataphin: downtime.skip_data_updates", "dataphin: preflight.skippable", "dataphin: downtime.ignore_messages"]
}
row "A12" {
  title = "Graceful stop while nothing was shut down yet"
  by    = ["dataphin: downtime.begin"]
}
row "A13" {
  title = "Force stop at any stage, with a declared outcome in the history"
  by    = ["dataphin: force_stop.force_stop", "dataphin: preflight.force_stop", "dataphin: note.force_stop"]
}
row "A14" {
  title = "Diagnosis of a failing service: thread dump, restart, log"
  by    = ["dataphin: downtime.dump_threads", "dataphin: downtime.read_logs", "dataphin: downtime.restart_failed"]
}
row "A15" {
  title = "Verify: instances generated, statuses compared, a watch, rerun, finalise"
  by    = ["dataphin: downtime.verify_generated", "dataphin: downtime.compare_statuses", "dataphin: downtime.watch", "dataphin: downtime.rerun_failed", "dataphin: downtime.complete"]
}
row "A16" {
  title = "The data service stays available throughout, proved by a probe"
  by    = ["dataphin: downtime.probe", "dataphin: semi_downtime.probe", "dataphin: zero_downtime.probe"]
}
row "X01" {
  title = "Declared target version and environment; test before production"
  by    = ["configuration: promote_from"]
}
row "X02" {
  title = "Preflight before anything is touched; a refusal names instance, reason, remedy"
  by    = ["command: plan"]
}
row "X03" {
  title = "Steps as a graph: what can runs beside, what needs no downtime outside it"
  by    = ["command: graph"]
}
row "X04" {
  title = "Point of no return visible; before it rollback, after it restore"
  by    = ["command: plan", "command: rollback"]
}
row "X05" {
  title = "Progress, logs per action, maintenance times, total downtime"
  by    = ["command: apply", "command: history"]
}
row "X06" {
  title = "An interrupted run is resumed, rolled back, or declared finished"
  by    = ["command: resume", "command: rollback", "command: abandon"]
}
row "X07" {
  title = "History: who, what, from, to, when, outcome"
  by    = ["command: history"]
}
