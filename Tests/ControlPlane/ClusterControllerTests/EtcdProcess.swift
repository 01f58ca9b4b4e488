import ClusterController
import Etcd
import Foundation
import Glibc
import NIOPosix

/// An etcd of one member or of three, shared by the tests of this process; each uses a prefix of its own. It ends with
/// the process: its shell waits for the end of a pipe, which the kernel closes.
final class EtcdProcess: Sendable {
    static let shared = Result { try EtcdProcess(memberCount: 1) }
    static let ofThree = Result { try EtcdProcess(memberCount: 3) }

    /// Of the members.
    let endpoints: [String]
    /// Of the first member.
    var endpoint: String { endpoints[0] }

    /// A prefix that nobody else uses.
    static func freshPrefix() -> String { "test-\(UInt64.random(in: 0 ... .max))/" }

    private init(memberCount: Int) throws {
        var ports: Set<Int> = []
        while ports.count < memberCount * 2 { ports.insert(try Self.freePort()) }
        let addresses = ports.map { "http://127.0.0.1:\($0)" }
        endpoints = Array(addresses[..<memberCount])
        let peers = Array(addresses[memberCount...])
        let members = peers.enumerated().map { "member-\($0)=\($1)" }.joined(separator: ",")
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        let starts = (0..<memberCount).map { number in
            """
            etcd --data-dir "$data/\(number)" --name member-\(number) \
                --listen-client-urls \(endpoints[number]) --advertise-client-urls \(endpoints[number]) \
                --listen-peer-urls \(peers[number]) --initial-advertise-peer-urls \(peers[number]) \
                --initial-cluster \(members) --log-level error >/dev/null 2>&1 &
            etcds="$etcds $!"
            """
        }
        let script = """
            data=$(mktemp -d)
            \(starts.joined(separator: "\n"))
            cat >/dev/null
            kill -9 $etcds
            rm -rf "$data"
            """
        process.arguments = ["-c", script]
        // The end to write to is closed by the kernel, when this process is gone.
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw NoPipe() }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        process.standardInput = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        try process.run()
    }

    private struct NoPipe: Error {}

    /// A port that nothing listens on, outside the range from which the kernel takes those of outgoing connections.
    private static func freePort() throws -> Int {
        for _ in 0..<200 {
            let port = Int.random(in: 10_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if status == 0 { return port }
        }
        throw NoFreePort()
    }

    private struct NoFreePort: Error {}
}

extension EtcdMetadataStore {
    /// A store of a shared etcd, which may be starting, or of other endpoints, which are tried once.
    static func open(
        _ etcd: EtcdProcess,
        endpoints: [String]? = nil,
        prefix: String,
        leaseTime: Duration = .seconds(2)
    ) async throws(MetadataError) -> EtcdMetadataStore {
        // A busy machine's disk takes its time.
        let options = EtcdOptions(endpoints: endpoints ?? etcd.endpoints, attemptTimeout: .seconds(5))
        for _ in 0..<200 {
            do throws(MetadataError) {
                return try await open(
                    options,
                    prefix: prefix,
                    leaseTime: leaseTime,
                    group: MultiThreadedEventLoopGroup.singleton
                )
            } catch {
                guard case .unavailable = error, endpoints == nil else { throw error }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
        throw .unavailable(reason: "etcd has not started.")
    }
}
