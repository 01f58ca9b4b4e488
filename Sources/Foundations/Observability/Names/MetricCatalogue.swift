/// Every metric there is. `docs/operations/metrics.md` tells operators what to do when one moves; a test holds the two
/// against each other, and the dashboard and the alerts of `deploy/` against this file.
package enum MetricCatalogue {
    package typealias Metric = MetricDescription

    // MARK: Process

    package static let buildInfo = Metric(
        "mien_build_info",
        .gauge,
        [.version, .kind],
        "Always 1; the program's version, and the vector kernels that its processor is used by (kind)"
    )
    package static let startTime = Metric(
        "process_start_time_seconds",
        .gauge,
        "Start of the process, in seconds since 1970"
    )
    package static let wallClock = Metric(
        "mien_wall_clock_seconds",
        .gauge,
        "The node's clock when it was asked, in seconds since 1970"
    )
    package static let processorTime = Metric("process_cpu_seconds_total", .counter, "Processor time, user and system")
    package static let residentMemory = Metric("process_resident_memory_bytes", .gauge, "Resident memory")
    package static let virtualMemory = Metric(
        "process_virtual_memory_bytes",
        .gauge,
        "Address space; mostly reserved for partitions, not used"
    )
    package static let openFiles = Metric("process_open_fds", .gauge, "Open file descriptors")
    package static let openFileLimit = Metric("process_max_fds", .gauge, "Most file descriptors that may be open")
    package static let threads = Metric("mien_process_threads", .gauge, "Threads of the process")
    package static let pageFaults = Metric(
        "mien_page_faults_total",
        .counter,
        [.kind],
        "Page faults: major ones waited for the disk, minor ones did not"
    )
    package static let ready = Metric("mien_ready", .gauge, "1 while /readyz answers 200, else 0")
    package static let certificateRemaining = Metric(
        "mien_certificate_remaining_seconds",
        .gauge,
        [.kind],
        "Time that the node's certificate, or the first of its trust roots to end, is still good; below 0 when over"
    )
    package static let certificateFilesRefused = Metric(
        "mien_certificate_files_refused",
        .gauge,
        "1 while the TLS files have changed and cannot be used, so that those before are in use, else 0"
    )

    // MARK: Requests

    package static let requests = Metric(
        "mien_requests_total",
        .counter,
        [.role, .request, .status],
        "Requests that have been answered, or whose caller has gone (status cancelled)"
    )
    package static let requestDuration = Metric(
        "mien_request_duration_seconds",
        .histogram,
        [.role, .request],
        "Time from a request's arrival to its answer"
    )
    package static let requestsInFlight = Metric(
        "mien_requests_in_flight",
        .gauge,
        [.role],
        "Requests that have come and are not answered yet"
    )
    package static let connections = Metric("mien_connections", .gauge, [.role], "Connections accepted and still open")
    package static let connectionsAccepted = Metric(
        "mien_connections_accepted_total",
        .counter,
        [.role],
        "Connections accepted"
    )
    package static let connectionsRefused = Metric(
        "mien_connections_refused_total",
        .counter,
        [.role],
        "Connections that this node ended: no right hello in time, above a limit, stalled, or broken frames"
    )
    package static let bytesReceived = Metric("mien_received_bytes_total", .counter, [.role], "Bytes of requests")
    package static let bytesSent = Metric("mien_sent_bytes_total", .counter, [.role], "Bytes of answers")
    package static let slowSearches = Metric(
        "mien_slow_searches_total",
        .counter,
        [.role],
        "Searches that took longer than slow_search, be they logged or not"
    )

    // MARK: Router

    package static let routerStages = Metric(
        "mien_router_stage_duration_seconds",
        .histogram,
        [.stage],
        "Parts of a search at the coordinator: prepare, shards (waiting for all of them), merge"
    )
    package static let shardSearchDuration = Metric(
        "mien_shard_search_duration_seconds",
        .histogram,
        "One shard's answer to a search as the coordinator waits for it, attempts and pauses included"
    )
    package static let shardRetries = Metric(
        "mien_shard_retries_total",
        .counter,
        [.status],
        "Further attempts at a shard, by the status that the one before ended with"
    )
    package static let replicaSwitches = Metric(
        "mien_replica_switches_total",
        .counter,
        [.status],
        "Reads of a shard that went on to another replica, by the status that the one before ended with"
    )
    package static let hedgedReads = Metric(
        "mien_hedged_reads_total",
        .counter,
        [.status],
        "Second replicas asked because the first took long: won when theirs was the answer that counted, else lost"
    )
    package static let deadlyRequests = Metric(
        "mien_deadly_requests_total",
        .counter,
        [.status],
        "Requests under which two workers were lost at once (suspected) or in turn (given_up), or refused since"
    )
    package static let probes = Metric(
        "mien_searched_probes_total",
        .counter,
        [.effort],
        "Probes searched for: exact, full, lists or recall"
    )
    package static let partialAnswers = Metric(
        "mien_partial_answers_total",
        .counter,
        "Searches that did not cover all of the collection, refused ones among them"
    )
    package static let missingShards = Metric(
        "mien_missing_shards_total",
        .counter,
        [.reason],
        "Shards missing from answers"
    )
    package static let recallObjective = Metric(
        "mien_recall_objective",
        .gauge,
        "Share of the mates that a search finds which asks for no other effort"
    )

    // MARK: Cluster, as the coordinator sees it

    package static let workers = Metric(
        "mien_workers",
        .gauge,
        [.state],
        "Known workers that are not decommissioned: live, silent or unheard"
    )
    package static let workerSilence = Metric(
        "mien_worker_silence_seconds",
        .gauge,
        "Longest time since the last heartbeat of one of them; those not heard of since the start are left out"
    )
    package static let silentWorkers = Metric(
        "mien_silent_workers",
        .gauge,
        [.reason],
        "Workers that are silent or unheard and not decommissioned, by what calling them came to"
    )
    package static let erasureUnreachable = Metric(
        "mien_erasure_unreachable_seconds",
        .gauge,
        "Longest time for which a worker that may hold deleted faces is away: since it was heard, or since the start"
    )
    package static let refusingWorkers = Metric(
        "mien_refusing_workers",
        .gauge,
        "Workers that refuse this coordinator, since they go by another with a copy of its metadata store"
    )
    package static let controller = Metric(
        "mien_controller",
        .gauge,
        "1 while this coordinator makes workers do what is missing, else 0"
    )
    package static let metadataProblem = Metric(
        "mien_metadata_problem",
        .gauge,
        "1 while what is recorded of the cluster, or of a shard, cannot be changed from here, else 0; /readyz says why"
    )
    package static let shards = Metric(
        "mien_shards",
        .gauge,
        [.collection, .state],
        "Shards: serving, opening, failed or missing"
    )
    package static let shardsBelowCopies = Metric(
        "mien_shards_below_copies",
        .gauge,
        [.collection],
        "Shards of which fewer replicas are in sync and take writes than the collection has copies"
    )
    package static let shardsBelowMinimum = Metric(
        "mien_shards_below_minimum",
        .gauge,
        [.collection],
        "Shards of which fewer replicas are in sync and take writes than a write needs"
    )
    package static let shardsDifferent = Metric(
        "mien_shards_different",
        .gauge,
        [.collection],
        "Shards whose replicas in sync do not hold the same, by their last checkpoints"
    )
    package static let shardsOfOlderRecords = Metric(
        "mien_shards_of_older_records",
        .gauge,
        [.collection],
        "Shards whose workers go by a newer record than the metadata store holds; nobody steers them"
    )
    package static let shardsWithoutRoom = Metric(
        "mien_shards_without_room",
        .gauge,
        [.collection],
        "Shards that lack a copy for which no worker has room on its disk, or none that could send it"
    )
    package static let replicaLag = Metric(
        "mien_replica_lag_writes",
        .gauge,
        [.collection],
        "Writes that a replica which is there is behind its primary, the most of all, as workers last reported them"
    )
    package static let replicasRepaired = Metric(
        "mien_replicas_repaired_total",
        .counter,
        "Damaged replicas that made way for copies without being asked"
    )
    package static let operations = Metric(
        "mien_operations",
        .gauge,
        [.state],
        "Operations that have not ended: running, paused or cancelling"
    )
    package static let operationSilence = Metric(
        "mien_operation_silence_seconds",
        .gauge,
        [],
        "Time since something last changed about the step under way that has waited longest"
    )
    package static let collectionFaces = Metric(
        "mien_collection_faces",
        .gauge,
        [.collection],
        "Faces, as workers last reported them"
    )
    package static let trainings = Metric("mien_trainings", .gauge, "Collections whose next codebook is being trained")
    package static let shardMapEpoch = Metric("mien_shard_map_epoch", .gauge, "Epoch of the shard map")
    package static let archiveBehind = Metric(
        "mien_archive_behind_seconds",
        .gauge,
        [.collection],
        "Time since the moment up to which all of a collection's log is archived"
    )
    package static let archiveBehindBytes = Metric(
        "mien_archive_behind_bytes",
        .gauge,
        [.collection],
        "Log that the last turn of archiving left for the next one"
    )
    package static let archiveInterval = Metric(
        "mien_archive_interval_seconds",
        .gauge,
        "Time between two turns of archiving, as configured"
    )
    package static let archivedBytes = Metric("mien_archived_bytes_total", .counter, "Log that has been archived")
    package static let archiveFailures = Metric(
        "mien_archive_failures_total",
        .counter,
        "Turns of archiving that failed for a collection, in part or whole"
    )
    package static let archiveGaps = Metric(
        "mien_archive_gaps_total",
        .counter,
        "Shards whose archive began anew, or ended before the shard was replaced, with entries missing"
    )

    // MARK: Worker

    package static let searchStages = Metric(
        "mien_search_stage_duration_seconds",
        .histogram,
        [.stage],
        "Parts of a shard's search: queue, plan, rank, scan, compare, flat, answer; summed over its threads"
    )
    package static let workerSearches = Metric(
        "mien_worker_searches_total",
        .counter,
        [.place],
        "Shard searches answered, on the event loop or by a search thread"
    )
    package static let rowsVisited = Metric(
        "mien_rows_visited_total",
        .counter,
        "Rows that searches compared, by code or in full, summed over probes"
    )
    package static let listsVisited = Metric("mien_lists_visited_total", .counter, "Inverted lists visited")
    package static let rowsCompared = Metric(
        "mien_rows_reranked_total",
        .counter,
        "Rows compared in full because their codes promised a match"
    )
    package static let recallChecks = Metric(
        "mien_recall_checks_total",
        .counter,
        [.status],
        "Searches repeated with exact to see what they had missed: done, or given up: busy, failed"
    )
    package static let recallCompared = Metric(
        "mien_recall_compared_total",
        .counter,
        [.kind, .effort],
        "What exact searches found in those checks: matches, and mates, those similar enough for recall to be promised"
    )
    package static let recallMissed = Metric(
        "mien_recall_missed_total",
        .counter,
        [.kind, .effort],
        "What of it the checked searches had missed"
    )
    package static let liveRecall = Metric(
        "mien_live_recall",
        .gauge,
        [.kind, .effort],
        "Share found of what was compared since the start, whatever recall was asked for"
    )
    package static let liveRecallLow = Metric(
        "mien_live_recall_low",
        .gauge,
        [.kind, .effort],
        "Lower bound of mien_live_recall, 95 % confidence with the one below"
    )
    package static let liveRecallHigh = Metric(
        "mien_live_recall_high",
        .gauge,
        [.kind, .effort],
        "Upper bound likewise"
    )
    package static let missRatio = Metric(
        "mien_recall_miss_ratio",
        .gauge,
        [.collection],
        "How many times as many mates were missed as promised, at least, of the recall where it is most"
    )
    package static let queueLength = Metric(
        "mien_queue_length",
        .gauge,
        [.queue],
        "What waits at a worker: requests in search and control, rows in write; what is under way at a coordinator: "
            + "reads of the collection, and writes of the shard, that has least left of its limit"
    )
    package static let queueLimit = Metric(
        "mien_queue_limit",
        .gauge,
        [.queue],
        "What may wait, in the unit of mien_queue_length; write: of one replica; reads and writes move with what is "
            + "answered in time"
    )
    package static let queueBytes = Metric("mien_queue_bytes", .gauge, [.queue], "Memory of what waits")
    package static let searchThreads = Metric("mien_search_threads", .gauge, [.state], "Search threads: busy or idle")
    package static let commitDuration = Metric(
        "mien_commit_duration_seconds",
        .histogram,
        "One commit of a write lane, with the disk's sync"
    )
    package static let writtenFaces = Metric(
        "mien_written_faces_total",
        .counter,
        [.operation],
        "Rows of committed writes: enrol or delete"
    )
    package static let maintenanceTime = Metric(
        "mien_maintenance_seconds_total",
        .counter,
        "Time that write lanes spent on folding, merging, compacting and coding again"
    )
    package static let heartbeats = Metric(
        "mien_heartbeats_total",
        .counter,
        [.status],
        "Heartbeats sent, by what came back"
    )
    package static let replicas = Metric("mien_replicas", .gauge, [.state], "Replicas: serving, opening or failed")
    package static let disksBack = Metric(
        "mien_disks_gone_back_total",
        .counter,
        "Times that a replica was found to hold less than it had acknowledged: an earlier state of a disk was put back"
    )
    package static let verifications = Metric(
        "mien_verifications_total",
        .counter,
        [.status],
        "Partitions that were read whole without being asked: sound, damaged, or stopped before the end"
    )
    package static let verificationAge = Metric(
        "mien_verification_age_seconds",
        .gauge,
        "Time since the partition that was last read whole and found sound the longest ago; never yet: since it is here"
    )
    package static let verificationPeriod = Metric(
        "mien_verification_period_seconds",
        .gauge,
        "Time in which every partition is to be read whole, as configured"
    )
    package static let erasureAge = Metric(
        "mien_erasure_age_seconds",
        .gauge,
        "Time since the oldest deletion or replacement of a face of which bytes may be in a file; 0 when there is none"
    )
    package static let erasurePeriod = Metric(
        "mien_erasure_period_seconds",
        .gauge,
        "Time in which a deleted face's bytes are to be gone from files, as configured"
    )
    package static let coldReplicas = Metric(
        "mien_cold_replicas",
        .gauge,
        "Replicas that serve with less than nine tenths of what every search reads in memory"
    )
    package static let partitionFaces = Metric("mien_partition_faces", .gauge, [.collection], "Faces held here")
    package static let partitionFresh = Metric(
        "mien_partition_fresh_faces",
        .gauge,
        [.collection],
        "Rows that are in no inverted list yet; every search compares them"
    )
    package static let partitionTombstones = Metric(
        "mien_partition_tombstones",
        .gauge,
        [.collection],
        "Deleted rows that still take room"
    )
    package static let partitionRuns = Metric(
        "mien_partition_runs",
        .gauge,
        [.collection],
        "Runs of codes, sorted by list, of which every search scans its part; maintenance merges them"
    )
    package static let partitionChunks = Metric(
        "mien_partition_code_chunks",
        .gauge,
        [.collection],
        "Blocks that the codes of all runs lie in, up to 1024 rows each"
    )
    package static let partitionRecoding = Metric(
        "mien_partition_rows_to_recode",
        .gauge,
        [.collection],
        "Rows that wait to be coded by the newest codebook"
    )
    package static let partitionDisk = Metric("mien_partition_disk_bytes", .gauge, [.collection], "Disk that is used")
    package static let rowIDFill = Metric(
        "mien_partition_row_id_fill",
        .gauge,
        [.collection],
        "Share of its row ids that the partition has used which has used most; none is used again"
    )
    package static let mapBytes = Metric(
        "mien_lmdb_map_bytes",
        .gauge,
        [.collection],
        "Address space of the partitions' files, which grows before it is used up"
    )
    package static let usedBytes = Metric(
        "mien_lmdb_used_bytes",
        .gauge,
        [.collection],
        "Bytes of pages that were ever used; the files do not shrink"
    )
    package static let freeBytes = Metric(
        "mien_lmdb_free_bytes",
        .gauge,
        [.collection],
        "Bytes of pages among them that later commits may take"
    )
    package static let mapFill = Metric(
        "mien_lmdb_map_fill",
        .gauge,
        [.collection],
        "Share of its address space that the partition's file has used which has used most of it"
    )
    package static let readerLag = Metric(
        "mien_lmdb_oldest_reader_commits",
        .gauge,
        "Commits that the oldest read transaction is behind, the most of all partitions; their pages cannot be reused"
    )
    package static let memory = Metric(
        "mien_memory_bytes",
        .gauge,
        [.part],
        """
        What resident memory is for: codes and embeddings, which the system can take back; codebooks, filters, \
        search_queue, search_buffers, write_queue, log, copies, training and program, all else, which it cannot
        """
    )
    package static let heldMemory = Metric(
        "mien_memory_held_bytes",
        .gauge,
        "Memory that the system cannot take back, of all that counts against the limit"
    )
    package static let memoryLimit = Metric(
        "mien_memory_limit_bytes",
        .gauge,
        "Memory that there may be: of worker.memory.limit, the control group or the machine, what is reached first"
    )
    package static let shortOfMemory = Metric(
        "mien_memory_short",
        .gauge,
        "1 while faces and copies are turned away for want of memory"
    )
    package static let mappedBytes = Metric(
        "mien_mapped_bytes",
        .gauge,
        [.part],
        "Bytes that searches read, in memory or not: codes, embeddings, and fresh, rows in no inverted list yet"
    )
    package static let freeDisk = Metric(
        "mien_free_disk_bytes",
        .gauge,
        "Free disk under the node's data folder; of a worker less what snapshots for a backup have yet to take"
    )

    package static let all: [MetricDescription] = [
        buildInfo, startTime, wallClock, processorTime, residentMemory, virtualMemory, openFiles, openFileLimit,
        threads, pageFaults, ready, certificateRemaining, certificateFilesRefused, requests, requestDuration,
        requestsInFlight, connections, connectionsAccepted,
        connectionsRefused, bytesReceived, bytesSent, slowSearches, routerStages, shardSearchDuration, shardRetries,
        replicaSwitches, hedgedReads, deadlyRequests, probes, partialAnswers, missingShards, recallObjective, workers,
        workerSilence, silentWorkers, erasureUnreachable, refusingWorkers, controller, metadataProblem, shards,
        shardsBelowCopies, shardsBelowMinimum, shardsDifferent, shardsOfOlderRecords, shardsWithoutRoom, replicaLag,
        replicasRepaired, operations, operationSilence, collectionFaces,
        trainings, shardMapEpoch, archiveBehind, archiveBehindBytes, archiveInterval, archivedBytes, archiveFailures,
        archiveGaps, searchStages, workerSearches, rowsVisited, listsVisited, rowsCompared, recallChecks,
        recallCompared, recallMissed, liveRecall, liveRecallLow, liveRecallHigh, missRatio, queueLength, queueLimit,
        queueBytes, searchThreads, commitDuration, writtenFaces, maintenanceTime, heartbeats, replicas,
        disksBack, verifications, verificationAge, verificationPeriod, erasureAge, erasurePeriod, coldReplicas,
        partitionFaces, partitionFresh, partitionTombstones, partitionRuns, partitionChunks, partitionRecoding,
        partitionDisk, rowIDFill, mapBytes, usedBytes, freeBytes, mapFill, readerLag, memory, heldMemory, memoryLimit,
        shortOfMemory, mappedBytes, freeDisk,
    ]
}
