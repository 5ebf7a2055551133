"""The tests that prove what docs/reliability.md says of each fault."""

from __future__ import annotations

TESTS: dict[str, tuple[str, ...]] = {
    "the server is busy (503 SlowDown)": (
        "archive/test_faults.py::test_a_busy_server_is_asked_again_until_all_is_there",
        "archive/test_faults.py::test_a_server_that_stays_busy_fails_what_it_has_not_sent",
        "archive/test_faults.py::test_a_listing_that_is_busy_once_is_complete_in_the_end",
    ),
    "404": (
        "archive/test_faults.py::test_objects_that_vanish_after_the_listing_are_absent",
        "archive/test_faults.py::test_an_archive_that_has_nothing_of_it_is_not_a_success",
        "unit/transfer/test_engine.py::test_what_the_archive_does_not_have_is_not_tried_again",
    ),
    "403 for one object": (
        "archive/test_faults.py::test_one_denied_object_fails_in_the_words_of_the_server",
        "unit/transfer/test_engine.py::test_what_is_denied_is_not_tried_again",
    ),
    "403 for everything": (
        "archive/test_environment.py::test_a_server_that_denies_everything_ends_the_run",
        "archive/test_environment.py::test_objects_that_are_denied_although_the_listing_is_not",
    ),
    "connection refused, unknown host, TLS failure": (
        "archive/test_environment.py::test_a_refused_connection_is_reported_within_seconds",
        "archive/test_network.py::test_a_name_that_is_none",
        "archive/test_network.py::test_an_untrusted_certificate",
        "archive/test_network.py::test_tls_spoken_to_a_server_without_it",
        "unit/transfer/test_engine.py::test_a_server_that_refuses_all_ends_the_run",
    ),
    "the network dies during a run": ("archive/test_network.py::test_a_network_that_dies_in_mid_run_is_noticed",),
    "the login page of a captive portal": (
        "archive/test_network.py::test_the_page_of_a_captive_portal_is_not_an_empty_listing",
        "archive/test_network.py::test_the_page_of_a_captive_portal_is_not_an_object",
    ),
    "the CDN has an older copy, no copy, or a page instead": (
        "archive/test_door.py::test_an_older_copy_with_its_older_sidecar",
        "archive/test_door.py::test_an_older_copy_over_http2",
        "archive/test_door.py::test_whatever_else_it_lacks_comes_from_s3",
        "archive/test_door.py::test_an_absence_is_what_s3_says",
        "archive/test_door.py::test_what_the_cdn_has_kept_too_long_fails",
        "archive/test_door.py::test_what_the_cdn_does_not_have_fails",
    ),
    "the CDN is unreachable, slow, or dies during a run": (
        "archive/test_door.py::test_a_cdn_that_is_not_there",
        "archive/test_door.py::test_a_slow_cdn",
        "archive/test_door.py::test_a_door_that_dies_in_mid_run",
        "archive/test_door.py::test_a_door_that_falls_silent",
        "archive/test_door.py::test_a_cdn_that_was_asked_for_and_is_not_there_ends_the_run",
    ),
    "a proxy (`HTTPS_PROXY`, `NO_PROXY`)": (
        "archive/test_network.py::test_a_proxy_is_used",
        "archive/test_network.py::test_a_proxy_for_https_is_a_tunnel",
        "archive/test_network.py::test_no_proxy_where_the_user_wants_none",
        "archive/test_network.py::test_a_missing_proxy_is_reported_without_its_password",
    ),
    "a connection stalls": (
        "archive/test_faults.py::test_a_transfer_that_stands_still_is_stopped_and_tried_again",
        "unit/transfer/test_engine.py::test_a_lane_from_which_nothing_comes_is_stopped",
    ),
    "an attempt does not end": (
        "archive/test_faults.py::test_an_attempt_that_takes_too_long_is_stopped_and_tried_again",
        "unit/transfer/test_engine.py::test_a_lane_that_takes_too_long_is_stopped_though_it_talks",
    ),
    "a large object arrives slowly": (
        "archive/test_faults.py::test_a_slow_transfer_is_not_a_stall",
        "unit/transfer/test_engine.py::test_bytes_are_reported_while_they_arrive",
    ),
    "a truncated response": (
        "archive/test_faults.py::test_half_of_an_object_never_reaches_its_final_path",
        "archive/test_faults.py::test_what_passes_by_itself_is_not_a_failure",
    ),
    "wrong bytes of the right length": (
        "archive/test_faults.py::test_bytes_spoilt_once_are_fetched_again",
        "archive/test_faults.py::test_a_spoilt_sidecar_is_fetched_again",
        "archive/test_faults.py::test_bytes_that_stay_bad_go_to_quarantine",
    ),
    "a listing breaks off, or a later page is denied": (
        "process/test_s5cmd_listing.py::test_an_s5cmd_that_is_killed_half_way",
        "process/test_s5cmd_listing.py::test_a_failure_on_a_later_page_is_not_taken_for_the_end",
    ),
    "`AWS_PROFILE` or another `AWS_REGION` is set": (
        "archive/test_network.py::test_the_users_aws_settings_do_not_disturb",
        "unit/s5cmd/test_runfile.py::test_anonymous_requests_see_nothing_of_the_users_account",
        "unit/s5cmd/test_runfile.py::test_signed_requests_keep_the_account_but_not_its_region",
    ),
    "a sidecar is missing, out of date or malformed": (
        "archive/test_collect.py::test_a_missing_sidecar_is_marked_and_the_listing_proves_the_bytes",
        "archive/test_collect.py::test_a_stale_sidecar_is_marked_and_the_next_run_is_content",
        "archive/test_resume.py::test_a_file_replaced_without_its_sidecar_is_marked_stale_and_does_not_come_again",
        "unit/transfer/test_finish.py::test_where_a_plan_had_no_listing_the_witness_is_asked_for",
        "archive/test_verify.py::test_a_spoilt_sidecar_confirms_nothing",
        "archive/test_replaced.py::test_a_bad_sidecar_costs_no_download_in_later_runs",
    ),
    "an object is replaced during the run": (
        "unit/transfer/test_finish.py::test_what_the_archive_replaced_after_it_was_listed_is_taken",
        "unit/transfer/test_finish.py::test_unconfirmed_bytes_are_not_taken_though_two_downloads_agree",
        "archive/test_replaced.py::test_an_object_that_is_replaced_after_it_was_listed",
        "archive/test_replaced.py::test_an_object_that_is_replaced_between_its_parts",
        "archive/test_replaced.py::test_an_object_that_is_replaced_before_its_sidecar",
    ),
    "an object was replaced since the last run": (
        "archive/test_resume.py::test_what_the_archive_replaced_is_updated_and_the_old_digest_kept",
        "unit/jobs/test_record.py::test_the_former_digest_of_an_updated_object_is_kept",
    ),
    "an object was replaced that no run selects any more": (
        "archive/test_root_and_listing.py::test_what_the_archive_has_replaced_is_found_and_fetched",
        "unit/plan/test_stored.py::test_each_object_comes_once_with_its_own_entry",
    ),
    "a month is published after `--last 3d` has moved on": (
        "archive/test_rolling.py::test_a_month_comes_though_the_dates_have_left_it_behind",
    ),
    "a monthly object is short or broken, its daily objects are on disk": (
        "archive/test_prune.py::test_a_short_month_moves_nothing_and_is_marked",
        "unit/jobs/test_prune.py::test_a_month_that_is_not_proven_moves_nothing",
        "unit/jobs/test_prune.py::test_a_month_whose_zip_is_broken_moves_nothing",
        "unit/root/test_zip_rows.py::test_any_other_rows_are_found",
    ),
    "a hostile listing: `..`, absolute paths, control characters, quotes, `*`": (
        "unit/root/test_store.py::test_keys_that_lead_elsewhere_are_refused",
        "unit/root/test_store.py::test_no_key_leaves_the_root",
        "unit/s5cmd/test_runfile.py::test_keys_that_cannot_stand_on_a_line_are_refused",
        "process/test_s5cmd_real.py::test_s5cmd_reads_any_key_that_a_line_can_hold",
        "archive/test_hostile.py::test_a_hostile_listing_plans_what_was_asked_for_and_nothing_else",
        "archive/test_hostile.py::test_a_listing_that_cannot_be_is_none_at_all",
        "archive/test_hostile.py::test_an_object_that_is_listed_twice_is_planned_once",
        "unit/plan/test_candidates.py::test_objects_that_were_not_asked_for_are_left_out",
    ),
    "s5cmd prints garbage, or its exit code is wrong": (
        "unit/transfer/test_engine.py::test_an_s5cmd_that",
        "unit/transfer/test_engine.py::test_outcomes_add_up_to_the_plan_whatever_s5cmd_does",
        "unit/transfer/test_batch.py::test_a_success_is_not_believed_once_the_file_is_looked_for",
        "unit/s5cmd/test_output.py::test_no_bytes_make_it_raise",
    ),
    "s5cmd is killed or runs out of memory": (
        "archive/test_signals.py::test_an_s5cmd_that_is_killed_is_started_again",
        "archive/test_signals.py::test_an_s5cmd_that_runs_out_of_memory_is_started_again",
    ),
    "s5cmd is missing, too old, or another program": (
        "archive/test_environment.py::test_a_missing_s5cmd_is_reported_before_anything_is_created",
        "archive/test_environment.py::test_an_old_s5cmd_is_refused",
        "process/test_s5cmd_binary.py::test_a_file_that_is_not_a_program_is_refused",
        "process/test_s5cmd_binary.py::test_a_program_that_prints_rubbish_is_refused",
        "process/test_s5cmd_binary.py::test_a_program_that_does_not_answer_is_refused_and_ended",
    ),
    "^C, SIGTERM, SIGHUP, a closed terminal": (
        "archive/test_signals.py::test_a_signal_ends_a_run_cleanly_and_the_next_one_completes_it",
        "archive/test_signals.py::test_what_had_arrived_by_then_is_kept",
        "archive/test_signals.py::test_a_terminal_that_is_closed_ends_the_run_cleanly",
        "archive/test_signals.py::test_a_signal_while_the_listing_is_under_way",
    ),
    "^C twice": (
        "archive/test_signals.py::test_a_second_interrupt_does_not_wait_for_a_child_that_will_not_go",
        "archive/test_signals.py::test_two_signals_together_end_a_run_that_has_two_lanes",
    ),
    "`nohup`": ("archive/test_signals.py::test_a_run_that_was_started_with_nohup_goes_on",),
    "`kill -9`": (
        "archive/test_signals.py::test_a_run_that_is_killed_leaves_no_half_file_and_the_next_one_completes_it",
        "archive/test_signals.py::test_what_a_killed_run_has_left_running_is_ended_by_the_next_one",
        "process/test_s5cmd_orphans.py::test_nothing_else_is_ended",
        "archive/test_resume.py::test_staging_is_swept_at_the_start",
        "archive/test_soak_smoke.py::test_two_rounds_and_a_clean_run",
    ),
    "the machine is suspended": (
        "unit/transfer/test_engine.py::test_a_suspended_machine_is_not_a_stall",
        "process/test_s5cmd_listing.py::test_a_suspended_machine_is_not_a_stall",
    ),
    "the clock jumps": ("archive/test_limits.py::test_a_clock_that_goes_backwards_gives_no_absurd_figures",),
    "the limit of open files is low": (
        "archive/test_limits.py::test_a_limit_that_may_be_raised_is_raised_and_not_worth_a_word",
        "archive/test_limits.py::test_a_low_limit_of_open_files_makes_it_slower_and_not_worse",
        "archive/test_limits.py::test_a_limit_that_is_too_low_is_reported",
    ),
    "the reader of standard output goes away": (
        "archive/test_environment.py::test_a_reader_who_leaves_does_not_change_how_a_run_ends",
    ),
    "credentials for signed access": (
        "archive/test_secrets.py::test_credentials_reach_only_s5cmd",
        "unit/config/test_messages.py::test_mistakes_in_options_name_the_option",
    ),
    "two runs on one root": (
        "archive/test_environment.py::test_a_second_run_on_the_same_root_names_the_first",
        "archive/test_waiting.py::test_the_second_run_goes_on_when_the_first",
        "archive/test_waiting.py::test_a_wait_can_be_interrupted",
        "archive/test_waiting.py::test_a_repair_waits_too",
    ),
    "two shards of one plan on one root": (
        "archive/test_shards.py::test_two_concurrent_shards_into_one_root",
        "unit/root/test_shards.py::test_shards_of_one_plan_run_side_by_side",
        "unit/root/test_session.py::test_the_last_shard_merges_what_all_recorded",
        "unit/plan/test_shards.py::test_the_files_are_the_plan",
    ),
    "a shard and any other run on one root": (
        "archive/test_shards.py::test_who_is_turned_away_while_a_shard_runs",
        "archive/test_shards.py::test_a_shard_is_turned_away_while_the_whole_root_is_held",
        "archive/test_shards.py::test_a_run_of_the_whole_root_waits_for_a_shard",
        "unit/root/test_shards.py::test_a_shard_that_might_share_objects_with_one_that_runs_is_turned_away",
        "unit/root/test_shards.py::test_a_run_that_finds_a_shard_held_the_root_briefly_too",
    ),
    "`kill -9` of a shard": (
        "archive/test_shards.py::test_a_shard_that_is_killed_is_taken_up_again",
        "archive/test_shards.py::test_what_a_killed_shard_came_to_is_joined_by_any_next_run",
        "unit/root/test_session.py::test_a_shard_that_starts_next_to_another_clears_away_only_its_own",
    ),
    "`kill -9` during that merge": (
        "unit/root/test_shards.py::test_killed_between_any_two_steps_nothing_is_lost",
        "unit/root/test_merging.py::test_killed_after_any_step_it_can_be_repeated",
    ),
    "a shard's manifest is damaged": (
        "archive/test_shards.py::test_a_manifest_of_a_shard_that_is_damaged_costs_no_download",
        "unit/root/test_merging.py::test_a_row_that_cannot_be_read_is_not_handed_on",
    ),
    "a root shared by several machines": (
        "unit/root/test_shards.py::test_readers_that_write_nothing_see_what_a_killed_run_left_in_the_log",
    ),
    "a dead process held the lock, here or on another host": (
        "unit/root/test_lock.py::test_a_killed_process_frees_the_lock_and_its_note_is_ignored",
        "unit/root/test_lock.py::test_the_note_of_a_dead_run_on_another_machine_is_ignored",
        "unit/root/test_lock.py::test_a_note_from_another_machine_is_believed",
    ),
    "a flow run is cancelled": (
        "flows/test_flow_serve.py::test_a_served_flow_has_a_schedule_and_runs_when_it_is_asked_for",
        "flows/test_flow_serve.py::test_a_flow_that_is_cancelled_where_it_runs_stops_its_lanes",
    ),
    "a Dask worker is killed": ("flows/test_flow_run.py::test_a_shard_outlives_the_dask_worker_that_collects_it",),
    "a shard of a flow run fails": (
        "flows/test_flow_run.py::test_what_another_attempt_can_help_is_tried_again",
        "flows/test_flow_run.py::test_a_partial_collection_is_a_failed_flow_run_that_says_why",
    ),
    "the disk is full or over quota": (
        "archive/test_disk.py::test_a_full_disk_ends_the_run_wherever_the_space_runs_out",
        "archive/test_disk.py::test_a_disk_without_room_for_another_name",
        "archive/test_disk.py::test_what_a_killed_run_left_does_not_keep_the_disk_full",
        "unit/transfer/test_engine.py::test_a_queue_without_room_loses_no_object",
    ),
    "a plan does not fit on the disk": (
        "archive/test_disk.py::test_a_plan_that_does_not_fit_is_reported_before_anything_is_fetched",
    ),
    "a file is too large for the file system or a limit": (
        "archive/test_disk.py::test_files_that_may_not_be_as_large_as_an_object",
    ),
    "the root is read-only or another user's": (
        "archive/test_disk.py::test_a_read_only_root",
        "archive/test_disk.py::test_an_output_directory_that_may_not_be_written_to",
    ),
    "the root vanishes": ("archive/test_disk.py::test_a_root_that_vanishes_while_the_lanes_run",),
    "a folder, a link out of the root or another user's file is at a final path": (
        "archive/test_disk.py::test_places_that_are_taken_are_refused_and_the_rest_goes_on",
        "archive/test_disk.py::test_what_belongs_to_another_user_is_refused_and_the_rest_goes_on",
    ),
    "a folder of ours, such as `staging/`, is a link": (
        "archive/test_disk.py::test_a_folder_of_ours_that_is_a_link_is_refused_and_nothing_behind_it_touched",
        "unit/root/test_store.py::test_a_folder_of_ours_that_is_a_link_is_refused_and_nothing_in_it_touched",
        "unit/root/test_store.py::test_staging_is_swept_and_nothing_else",
        "unit/root/test_store.py::test_quarantine_moves_nothing_out_of_the_root_or_into_it",
        "unit/jobs/test_relayout.py::test_nothing_is_moved_through_a_link_out_of_the_root",
        "unit/jobs/test_prune.py::test_days_are_not_moved_through_a_link_out_of_the_root",
        "unit/test_files.py::test_no_draft_is_written_through_a_link",
    ),
    "a file was changed on disk": (
        "archive/test_resume.py::test_a_file_that_lost_bytes_is_fetched_again",
        "archive/test_verify.py::test_one_bit_is_enough_to_be_corrupt",
        "archive/test_verify.py::test_repair_fetches_what_is_bad_or_missing",
    ),
    "the manifest is damaged, or from a newer version": (
        "archive/test_rebuild.py::test_a_damaged_manifest_is_reported_and_rebuilt",
        "unit/root/test_manifest.py::test_whatever_has_happened_to_its_bytes_is_reported",
        "unit/root/test_manifest.py::test_a_newer_manifest_is_left_alone",
    ),
    "the manifest is gone": (
        "archive/test_resume.py::test_a_manifest_that_is_gone_costs_no_download",
        "archive/test_rebuild.py::test_a_manifest_that_is_gone_is_rebuilt",
    ),
    "a cache, a lock note or a former report is damaged": (
        "unit/root/test_listing_cache.py::test_what_is_damaged_within_is_a_database_error",
        "unit/root/test_lock.py::test_a_damaged_note_is_ignored",
        "unit/plan/test_estimate.py::test_what_is_broken_or_says_nothing_is_left_out",
        "unit/root/test_layout.py::test_a_note_that_crypto_archive_did_not_write_is_reported",
        "unit/root/test_manifest.py::test_values_of_other_types_are_reported",
    ),
    "an input file never ends: a FIFO, `/dev/zero`, nested YAML aliases": (
        "unit/test_files.py::test_what_is_not_a_file_is_neither_read_nor_replaced",
        "unit/config/test_document.py::test_aliases_repeat_only_so_much",
        "unit/config/test_document.py::test_what_never_ends_is_refused",
        "archive/test_soak_smoke.py::test_a_few_spoilt_files",
    ),
    "a layout puts two objects at one path": (
        "unit/catalog/test_layouts.py::test_a_template_that_could_go_wrong_is_refused",
        "unit/catalog/test_layouts.py::test_what_shares_a_path_later_has_no_place",
        "archive/test_layouts.py::test_objects_that_a_class_puts_at_one_path_fail_with_the_reason",
    ),
    "`kill -9` or ^C while files move to another layout": (
        "unit/jobs/test_relayout.py::test_killed_between_any_two_steps_it_goes_on_or_back",
        "unit/jobs/test_relayout.py::test_a_stop_leaves_the_rest_for_the_next_one",
        "archive/test_layouts.py::test_a_move_that_is_killed_goes_on",
    ),
    "`kill -9` while daily objects are moved aside": (
        "unit/jobs/test_prune.py::test_killed_between_any_two_steps_nothing_is_lost",
    ),
    "some objects failed": (
        "archive/test_faults.py::test_one_denied_object_fails_in_the_words_of_the_server",
        "unit/jobs/test_record.py::test_what_failed_can_be_run_again_by_hand",
    ),
    "many runs": (
        "archive/test_rebuild.py::test_old_runs_are_deleted_by_the_setting",
        "unit/root/test_runs.py::test_the_newest_stay",
        "unit/root/test_runs.py::test_what_is_not_a_run_stays",
    ),
}
"""By the beginning of its entry; file and name of each test, below ``tests/``."""
