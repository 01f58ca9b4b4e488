import Foundation
import MienClient
import Testing

extension Integration {
    /// Faults walk over the links of a cluster, each of one caller and one that it calls: clients and coordinators,
    /// coordinators and workers both ways, workers and workers, coordinators and members of the etcd.
    @Suite struct LinkFaultTests {
        /// `MIEN_LINK_FAULTS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_LINK_FAULTS", or: 2)

        private static let faults: [FaultProxy.Fault] = [
            .cut, .cutTowards, .cutFrom, .delay(.milliseconds(200)), .throttle(bytesPerSecond: 20_000),
            .flip(oneIn: 3000), .drop(oneIn: 20),
        ]

        @Test(.timeLimit(.minutes(roundCount > 10 ? 180 : 3)))
        func nothingIsLostWhileFaultsWalkOverAllLinks() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("faults of links")
                var random = SeededRandom(seed: seed)
                let cluster = try await LinkedCluster(stage, coordinators: 2, workers: 3)
                try await cluster.start()
                let load = try await ReplicatedLoad("faults of links", cluster, copies: 3, seed: seed)
                var struck: Set<LinkedCluster.Link> = []
                var faultCount = 0
                for round in 1...Self.roundCount {
                    var history: [String] = []
                    var whole = ContinuousClock.now
                    try await load.runs { pause in
                        for _ in 0..<Int.random(in: 3...6, using: &random) {
                            for _ in 0..<Int.random(in: 1...3, using: &random) {
                                let link = cluster.links.randomElement(using: &random)!
                                let fault = Self.fault(of: link, &random)
                                cluster.set(fault, on: link)
                                history.append("\(fault) on \(link)")
                                struck.insert(link)
                                faultCount += 1
                            }
                            // Now and then longer than a worker may be silent.
                            let isLong = Int.random(in: 0..<5, using: &random) == 0
                            let time = Int.random(in: isLong ? 1500...3500 : 100...900, using: &random)
                            try await Task.sleep(for: .milliseconds(time))
                            if Int.random(in: 0..<3, using: &random) == 0 {
                                cluster.reset(cluster.links.randomElement(using: &random)!)
                            }
                            if Bool.random(using: &random) { cluster.heal() }
                        }
                        cluster.heal()
                        let when = "after round \(round): \(history.joined(separator: "; "))"
                        try await load.isWhole(when)
                        try await load.goesOn(pause, when)
                        whole = .now
                    }
                    // A fault of every way of a client may outlast its calls. One that is over costs nobody anything.
                    let failures = await load.searchFailures(since: whole)
                    #expect(failures.isEmpty, "\(failures.count) after round \(round): \(failures.prefix(3))")
                    try await load.check("round \(round): \(history.joined(separator: "; "))")
                }
                // Each link is one that is used, and callers are known.
                let unused = cluster.links.filter { cluster.connectionCount(of: $0) == 0 }
                #expect(unused.isEmpty, "\(unused) were never used")
                #expect(cluster.unknownCallers.isEmpty, "\(cluster.unknownCallers)")
                try await load.end(
                    "\(faultCount) faults on \(struck.count) of \(cluster.links.count) links in "
                        + "\(Self.roundCount) rounds",
                    mayRefuseWrites: true,
                    mayRefuseSearches: true
                )
                await cluster.stop()
            }
        }

        /// What passes between a coordinator and etcd is plain HTTP here, which has no checksum of its own: who changes
        /// bits there is for TLS.
        private static func fault(of link: LinkedCluster.Link, _ random: inout SeededRandom) -> FaultProxy.Fault {
            while true {
                let fault = faults.randomElement(using: &random)!
                if case (.flip, .etcd) = (fault, link.called) { continue }
                return fault
            }
        }

        /// Faults of one caller are of no other one.
        @Test(.timeLimit(.minutes(1))) func aProxyTellsCallersApart() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 0)
                try await cluster.start()
                let proxy = try await FaultProxy.start(to: cluster.coordinator.adminPort)
                let other = ["/usr/bin/curl", "--silent", "--fail", "http://127.0.0.1:\(proxy.port)/readyz"]
                for fault in [FaultProxy.Fault.cut, .cutTowards, .cutFrom, .drop(oneIn: 1)] {
                    proxy.set(fault, from: getpid())
                    let socket = try #require(TCPSocket.connected(to: proxy.port))
                    socket.send(Array("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
                    let answer = try await socket.receive(for: .milliseconds(200))
                    #expect(answer.bytes.isEmpty, "\(fault) struck this process")
                    #expect(try await stage.run(other).status == 0, "\(fault) struck nobody else")
                    proxy.set(.none)
                    let rest = try await socket.receive(for: .seconds(5))
                    socket.close()
                    if case .drop = fault { continue }
                    #expect(String(decoding: rest.bytes, as: UTF8.self).hasPrefix("HTTP/1.1 200"), "it was held back")
                }
                proxy.set(.cut)
                let cut = try await stage.run(other + ["--max-time", "1"])
                #expect(cut.status == 28, "a fault of everybody is of the other one too: \(cut)")
                #expect(proxy.connectionCount(from: getpid()) == 4 && proxy.connectionCount(from: nil) == 0)
                await proxy.stop()
            }
        }
    }
}
