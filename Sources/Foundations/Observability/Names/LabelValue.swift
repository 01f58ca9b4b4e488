/// The values of labels that are fixed in the program, by label. Others are names of collections and of what the wire
/// has names for: requests, status codes, states of replicas and shards, reasons for a shard's absence and for a
/// worker's silence.
package enum LabelValue {
    // MARK: role

    package static let coordinator = "coordinator"
    package static let worker = "worker"

    // MARK: effort

    package static let exact = "exact"
    package static let full = "full"
    package static let lists = "lists"
    package static let recall = "recall"
    package static let filtered = "filtered"

    // MARK: stage, at the coordinator and at workers

    package static let prepare = "prepare"
    package static let shards = "shards"
    package static let merge = "merge"
    package static let queue = "queue"
    package static let plan = "plan"
    package static let rank = "rank"
    package static let scan = "scan"
    package static let compare = "compare"
    package static let flat = "flat"
    package static let answer = "answer"

    // MARK: state, of operations

    package static let running = "running"
    package static let paused = "paused"
    package static let cancelling = "cancelling"

    // MARK: place

    package static let loop = "loop"
    package static let thread = "thread"

    // MARK: queue

    package static let search = "search"
    package static let control = "control"
    package static let write = "write"
    package static let reads = "reads"
    package static let writes = "writes"

    // MARK: part

    package static let codes = "codes"
    package static let embeddings = "embeddings"
    package static let codebooks = "codebooks"
    package static let filters = "filters"
    package static let searchQueue = "search_queue"
    package static let writeQueue = "write_queue"
    package static let searchBuffers = "search_buffers"
    package static let log = "log"
    package static let copies = "copies"
    package static let training = "training"
    package static let program = "program"
    package static let fresh = "fresh"

    // MARK: kind

    package static let matches = "matches"
    package static let mates = "mates"
    package static let majorFaults = "major"
    package static let minorFaults = "minor"
    package static let certificate = "certificate"
    package static let trustRoots = "trust_roots"
    package static let etcdCertificate = "etcd_certificate"
    package static let etcdTrustRoots = "etcd_trust_roots"

    // MARK: operation

    package static let enrol = "enrol"
    package static let delete = "delete"

    // MARK: state, of search threads and of workers

    package static let busy = "busy"
    package static let idle = "idle"
    package static let live = "live"
    package static let silent = "silent"
    package static let unheard = "unheard"

    // MARK: status

    package static let ok = "ok"
    package static let taken = "taken"
    package static let failed = "failed"
    package static let done = "done"
    package static let won = "won"
    package static let lost = "lost"
    package static let sound = "sound"
    package static let damaged = "damaged"
    package static let stopped = "stopped"
    package static let suspected = "suspected"
    package static let givenUp = "given_up"
    package static let refused = "refused"
}
