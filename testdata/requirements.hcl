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
  by    = ["pachyderm: in_place.record", "pachyderm: fact.record", "pachyderm: preflight.same_deploy_command"]
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
