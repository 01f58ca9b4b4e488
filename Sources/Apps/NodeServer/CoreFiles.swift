import Glibc

/// What the process has in memory when it dies is written to no file: embeddings in it would outlive their faces.
package enum CoreFiles {
    /// From now on, for the life of the process.
    package static func forbid() {
        let resource = __rlimit_resource_t(RLIMIT_CORE.rawValue)
        var limit = rlimit()
        guard unsafe getrlimit(resource, &limit) == 0 else { return }
        // No file is as short as one byte, and by this number Linux spares a program that takes such files in, too; to
        // that it gives all of it at zero.
        limit.rlim_max = min(limit.rlim_max, 1)
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(resource, &limit)
    }
}
