import ClusterModel
import FaceModel
import NIOCore
import Testing
import WireProtocol

/// Every bound of the wire, at its edge: the code and the sentence that a caller gets beyond it.
struct CodecLimitTests {
    private func refusal(_ message: some WireMessage, limits: WireLimits = WireLimits()) -> WireStatus? {
        do throws(WireDecodingError) {
            _ = try Wire.decode(Wire.payloadBytes(message), like: message, limits: limits)
            return nil
        } catch {
            return error.wireStatus
        }
    }

    private func search(
        matchLimit: Int = 10,
        threshold: Float? = nil,
        effort: SearchEffort = .full,
        filter: FaceFilter? = nil,
        coverage: CoverageRequirement = .full,
        rows: Int = 1,
        dimension: Int = 4,
        collection: String = "gallery"
    ) -> SearchFaces {
        SearchFaces(
            collection: collection,
            embeddingModel: "m",
            parameters: SearchParameters(
                matchLimit: matchLimit,
                threshold: threshold,
                effort: effort,
                filter: filter
            ),
            coverage: coverage,
            token: nil,
            probes: EmbeddingMatrix(dimension: dimension, values: [Float](repeating: 1, count: rows * dimension))
        )
    }

    @Test(arguments: [0, -1, 1001, 1_000_000_000, Int.max])
    func kOutsideItsRangeIsRefusedWithTheRange(matchLimit: Int) {
        let status = refusal(search(matchLimit: matchLimit))
        #expect(status?.code == .invalidRequest)
        #expect(status?.message.hasPrefix("k must be from 1 to 1000, not ") == true)
    }

    @Test func placesInALogLeaveRoomForAnother() {
        let route = ShardRoute(shard: ShardID(collection: CollectionID(high: 1, low: 2), index: 3), epoch: Epoch(4))
        let place = ArchivePosition(sequence: .max - 1, epoch: 5, chain: 6, time: Timestamp(milliseconds: 7))
        #expect(refusal(ReadLog(route: route, after: place)) == nil)
        var last = place
        last.sequence = .max
        #expect(refusal(ReadLog(route: route, after: last))?.code == .invalidRequest)
        for milliseconds in [Int64.min, -1, .max] {
            var timeless = place
            timeless.time = Timestamp(milliseconds: milliseconds)
            #expect(refusal(ReadLog(route: route, after: timeless))?.code == .invalidRequest)
            func read(until: Timestamp?) -> LogRead {
                LogRead(
                    entries: ArchivedEntries(
                        start: place,
                        continues: true,
                        entries: [],
                        end: place,
                        until: until,
                        remainingCount: 0,
                        remainingByteCount: 0
                    )
                )
            }
            #expect(refusal(read(until: nil)) == nil)
            #expect(refusal(read(until: timeless.time)) != nil)
        }
    }

    @Test func kIsBoundByWhatTheNodeGrants() {
        #expect(refusal(search(matchLimit: 100), limits: WireLimits(matchLimit: 100)) == nil)
        #expect(
            refusal(search(matchLimit: 101), limits: WireLimits(matchLimit: 100))?.message
                == "k must be from 1 to 100, not 101"
        )
    }

    @Test(arguments: [Float.nan, .infinity, 1.5, -1.01])
    func thresholdsThatAreNoCosineAreRefused(threshold: Float) {
        #expect(refusal(search(threshold: threshold))?.code == .invalidRequest)
    }

    /// A node that counts on from what it was told must have room for it.
    @Test func epochsAndVersionsThatNobodyCountsUpToAreRefused() throws {
        func group(epoch: UInt64, version: UInt64) -> ReplicaGroup {
            let node = NodeID(high: 1, low: 2)
            return ReplicaGroup(epoch: Epoch(epoch), version: version, primary: node, inSync: [node], minimumInSync: 1)
        }
        func read(_ group: ReplicaGroup) throws(WireDecodingError) -> ReplicaGroup {
            let message = ShardGroup(shard: MessageSamples.shardID, group: group)
            return try Wire.decode(Wire.payloadBytes(message), like: message).group
        }
        let highest = group(epoch: Epoch.numberLimit, version: Epoch.numberLimit)
        #expect(try read(highest) == highest)
        for other in [group(epoch: Epoch.numberLimit + 1, version: 1), group(epoch: 1, version: .max)] {
            #expect(throws: WireDecodingError.self) { try read(other) }
        }
    }

    /// A coordinator adds up what workers tell of all shards.
    @Test func moreThanAShardCanHaveIsRefused() throws {
        func answer(faces: UInt64, answered: UInt64) -> ShardSearchAnswer {
            ShardSearchAnswer(
                matches: [],
                faceCount: faces,
                facesAnswered: answered,
                rowsVisited: .max,
                listsVisited: .max,
                generation: 0
            )
        }
        #expect(refusal(answer(faces: 1 << 40, answered: 1 << 40)) == nil)
        #expect(refusal(answer(faces: .max, answered: 0))?.code == .invalidRequest)
        #expect(refusal(answer(faces: 0, answered: .max))?.code == .invalidRequest)
        #expect(refusal(ReplicaVerified(sequence: 1, faceCount: .max, slices: [], damage: nil)) != nil)
        let heartbeat = try #require(MessageSamples.all.lazy.compactMap { $0 as? Heartbeat }.first)
        #expect(refusal(heartbeat) == nil)
        let paths: [WritableKeyPath<WorkerReport.Replica, UInt64>] = [
            \.faceCount, \.freshCount, \.tombstoneCount, \.olderRowCount, \.diskByteCount,
        ]
        for path in paths {
            var wrong = heartbeat
            wrong.report.replicas[0][keyPath: path] = .max
            #expect(refusal(wrong)?.code == .invalidRequest)
        }
        let successorPaths: [WritableKeyPath<WorkerReport.Successor, UInt64>] = [
            \.rowCount, \.totalRowCount, \.diskByteCount,
        ]
        for path in successorPaths {
            var wrong = heartbeat
            wrong.report.successors[0][keyPath: path] = .max
            #expect(refusal(wrong)?.code == .invalidRequest)
        }
    }

    /// A coordinator makes percent of a share, and a next one of a version.
    @Test func aReportThatNobodyCanCountOnIsRefused() throws {
        let heartbeat = try #require(MessageSamples.all.lazy.compactMap { $0 as? Heartbeat }.first)
        for warmth: Float in [-.infinity, .infinity, .nan, -0.01, 1.01, 1e30] {
            var wrong = heartbeat
            wrong.report.replicas[0].warmth = warmth
            #expect(refusal(wrong)?.code == .invalidRequest, "\(warmth)")
        }
        for warmth: Float in [0, 1] {
            var right = heartbeat
            right.report.replicas[0].warmth = warmth
            #expect(refusal(right) == nil, "\(warmth)")
        }
        var last = heartbeat
        last.report.replicas[0].groupVersion = .max
        #expect(refusal(last)?.code == .invalidRequest)
        last = heartbeat
        last.report.replicas[0].end?.groupVersion = .max
        #expect(refusal(last)?.code == .invalidRequest)
    }

    /// It is shown on terminals and logged wherever a worker is named.
    @Test(arguments: [0, 0x0a, 0x1b, 0x20, 0x2f, 0x7f] as [UInt8])
    func aHostThatIsNeitherANameNorNumbersIsRefused(byte: UInt8) throws {
        let heartbeat = try #require(MessageSamples.all.lazy.compactMap { $0 as? Heartbeat }.first)
        var payload = Wire.payloadBytes(heartbeat)
        let host = Array(MessageSamples.address.host.utf8)
        let start = try #require(payload.indices.first { payload[$0...].starts(with: host) })
        payload[start + 1] = byte
        #expect(
            throws: WireDecodingError.invalid(field: "host", rule: "it has letters, digits and .-_:%[] only")
        ) { try Wire.decode(payload, like: heartbeat) }
    }

    /// Coordinators may have recorded others, of builds that took any text, and tell of all workers in one answer.
    @Test(arguments: [
        ("worker-1.Example", "worker-1.Example"), ("fe80::1%eth0", "fe80::1%eth0"), ("[::1]", "[::1]"),
        ("a\u{1B}[2J\n", "a_[2J_"),
    ])
    func whatIsInAHostIsReadBackOrReplaced(host: String, expected: String) throws {
        var heartbeat = try #require(MessageSamples.all.lazy.compactMap { $0 as? Heartbeat }.first)
        heartbeat.address = NodeAddress(host: host, port: 7401)
        let read = try Wire.decode(Wire.payloadBytes(heartbeat), like: heartbeat)
        #expect(read.address == NodeAddress(host: expected, port: 7401))
    }

    /// Whoever puts slices together counts on from where they end.
    @Test func slicesThatDoNotLieInsideTheirCopyAreRefused() {
        func slice(at offset: UInt64, of byteCount: UInt64, bytes: Int = 8) -> PartitionSlice {
            PartitionSlice(
                shard: MessageSamples.shardID,
                sender: NodeID(high: 1, low: 2),
                epoch: Epoch(1),
                copy: 1,
                sequence: 1,
                totalByteCount: byteCount,
                offset: offset,
                bytes: [UInt8](repeating: 7, count: bytes)
            )
        }
        #expect(refusal(slice(at: 92, of: 100)) == nil && refusal(slice(at: .max - 8, of: .max)) == nil)
        for other in [
            slice(at: 93, of: 100), slice(at: .max - 7, of: .max), slice(at: .max, of: .max), slice(at: .max, of: 100),
            slice(at: 92, of: 100, bytes: 0),
        ] {
            #expect(refusal(other)?.code == .invalidRequest)
        }
    }

    @Test(
        arguments: [
            SearchEffort.lists(0), .lists(1_000_001), .lists(-5), .recall(0.4), .recall(1), .recall(.nan),
            .recall(-.infinity),
        ])
    func effortsOutsideTheirRangeAreRefused(effort: SearchEffort) {
        #expect(refusal(search(effort: effort))?.code == .invalidRequest)
    }

    @Test func filtersWithinTheirLimitsAreReadBack() throws {
        let filters = [
            FaceFilter(), FaceFilter(personIDs: (0..<256).map { "\($0)" }), FaceFilter(externalImageIDs: ["é"]),
            FaceFilter(attributes: Dictionary(uniqueKeysWithValues: (0..<32).map { ("\($0)", "v") })),
            FaceFilter(createdFrom: Timestamp(milliseconds: -5)),
            FaceFilter(createdBefore: Timestamp(milliseconds: .max)), MessageSamples.filter,
        ]
        for filter in filters {
            let message = search(filter: filter)
            let read = try Wire.decode(Wire.payloadBytes(message), like: message)
            #expect(read.parameters == message.parameters)
        }
    }

    @Test func filtersBeyondTheirLimitsAreRefused() {
        let tooMany = (0..<257).map { "\($0)" }
        let tooLong = String(repeating: "a", count: 256)
        let attributes = Dictionary(uniqueKeysWithValues: tooMany.prefix(33).map { ($0, "") })
        #expect(
            refusal(search(filter: FaceFilter(personIDs: tooMany)))
                == WireStatus(.limitExceeded, "filter person ids: 257 is above the limit of 256")
        )
        for filter in [
            FaceFilter(externalImageIDs: tooMany), FaceFilter(personIDs: [tooLong]),
            FaceFilter(attributes: attributes), FaceFilter(attributes: [String(tooLong.prefix(65)): ""]),
            FaceFilter(attributes: ["k": tooLong]),
        ] {
            #expect(refusal(search(filter: filter))?.code == .limitExceeded)
        }
        let moment = Timestamp(milliseconds: 7)
        for filter in [
            FaceFilter(personIDs: []), FaceFilter(externalImageIDs: ["a", ""]), FaceFilter(attributes: ["": "v"]),
            FaceFilter(createdFrom: moment, createdBefore: moment),
        ] {
            #expect(refusal(search(filter: filter))?.code == .invalidRequest)
        }
    }

    @Test(arguments: [-0.1, 1.1, Double.nan])
    func coverageOutsideZeroToOneIsRefused(share: Double) {
        #expect(refusal(search(coverage: .minimum(share)))?.code == .invalidRequest)
    }

    @Test func probesAreBoundByTheGrantedCount() {
        let limits = WireLimits(probeCount: 3)
        #expect(refusal(search(rows: 3), limits: limits) == nil)
        let status = refusal(search(rows: 4), limits: limits)
        #expect(status == WireStatus(.limitExceeded, "probes: 4 is above the limit of 3"))
        #expect(refusal(search(rows: 0), limits: limits)?.code == .invalidRequest)
    }

    @Test func batchesAreBoundByTheGrantedCountAndNotEmpty() {
        let limits = WireLimits(batchRowCount: 2)
        for count in 0...3 {
            let ids = [FaceID](repeating: MessageSamples.firstFace, count: count)
            let rows = ids.map { EnrolRow(id: $0, metadata: FaceMetadata()) }
            let embeddings = EmbeddingMatrix(dimension: 2, values: [Float](repeating: 1, count: 2 * count))
            let messages: [any WireMessage] = [
                EnrolFaces(
                    collection: "c",
                    embeddingModel: "m",
                    key: MessageSamples.key,
                    rows: rows,
                    embeddings: embeddings
                ),
                DeleteFaces(collection: "c", key: MessageSamples.key, ids: ids),
                GetFaces(collection: "c", ids: ids, includesEmbeddings: false),
                ShardEnrol(
                    route: MessageSamples.route,
                    key: MessageSamples.key,
                    rows: rows,
                    embeddings: embeddings
                ),
                ShardDelete(route: MessageSamples.route, key: MessageSamples.key, ids: ids),
                ShardGet(route: MessageSamples.route, ids: ids, includesEmbeddings: false, minimumSequence: 0),
            ]
            let expected: StatusCode? = count == 0 ? .invalidRequest : count == 3 ? .limitExceeded : nil
            for message in messages {
                #expect(refusal(message, limits: limits)?.code == expected, "\(type(of: message).type) of \(count)")
            }
        }
    }

    @Test func rowsAndEmbeddingsMustAgree() {
        let message = EnrolFaces(
            collection: "c",
            embeddingModel: "m",
            key: MessageSamples.key,
            rows: MessageSamples.rows,
            embeddings: EmbeddingMatrix(dimension: 2, values: [1, 2])
        )
        #expect(
            throws: WireDecodingError.countMismatch(field: "embeddings", count: 1, expected: 2)
        ) { try Wire.decode(Wire.payloadBytes(message), like: message) }
    }

    @Test func namesAreBound() {
        #expect(refusal(search(collection: String(repeating: "a", count: 64))) == nil)
        #expect(
            refusal(search(collection: String(repeating: "a", count: 65)))
                == WireStatus(.limitExceeded, "collection name bytes: 65 is above the limit of 64")
        )
    }

    @Test func metadataThatBreaksItsOwnRulesIsReadSoThatOneRowCanBeRefused() throws {
        let metadata = FaceMetadata(
            personID: String(repeating: "p", count: 4096),
            attributes: Dictionary(uniqueKeysWithValues: (0..<256).map { ("k\($0)", "v") })
        )
        let message = enrol(metadata)
        let read = try Wire.decode(Wire.payloadBytes(message), like: message)
        #expect(read.rows[0].metadata == metadata)
        #expect(read.rows[0].metadata.problem != nil)
    }

    @Test func metadataBeyondTheWiresBoundsIsRefused() {
        #expect(refusal(enrol(FaceMetadata(imageID: String(repeating: "p", count: 4097))))?.code == .limitExceeded)
        let attributes = Dictionary(uniqueKeysWithValues: (0..<257).map { ("k\($0)", "v") })
        #expect(
            refusal(enrol(FaceMetadata(attributes: attributes)))
                == WireStatus(.limitExceeded, "attributes: 257 is above the limit of 256")
        )
    }

    /// The same bytes, or the same letters: "é" with its accent, and composed.
    @Test(arguments: [[0x6B, 0x61], [0x65, 0xCC, 0x81]] as [[UInt8]])
    func anAttributeKeyGivenTwiceIsReadSoThatOneRowCanBeRefused(key: [UInt8]) throws {
        let first: [UInt8] = key.count == 2 ? key : [0xC3, 0xA9]
        let second = key.count == 2 ? "kb" : "kbb"
        var payload = Wire.payloadBytes(enrol(FaceMetadata(attributes: ["ka": "1", second: "2"])))
        for (text, bytes) in [("ka", first), (second, key)] {
            let position = payload.indices.first { payload[$0...].starts(with: Array(text.utf8)) }
            let start = try #require(position)
            payload.replaceSubrange(start..<start + bytes.count, with: bytes)
        }
        let message = try Wire.decode(payload, like: enrol(FaceMetadata()))
        #expect(message.rows.count == 1 && message.rows[0].metadata.attributes.count == 1)
        #expect(message.rows[0].metadata.problem == "attribute keys must differ, however their letters are composed")
    }

    @Test func aStringThatTheWireCannotCarryFailsWhenItIsSent() {
        let message = DescribeCollection(name: String(repeating: "n", count: 65_536))
        let status = #expect(throws: WireStatus.self) {
            try Frame.encode(message, stream: 1, payloadLimit: 1 << 20)
        }
        #expect(status?.code == .limitExceeded)
        #expect(status?.message.contains("65536") == true)
    }

    @Test func aMessageAboveThePayloadLimitFailsWhenItIsSent() {
        let status = #expect(throws: WireStatus.self) {
            try Frame.encode(search(rows: 100, dimension: 512), stream: 1, payloadLimit: 64 << 10)
        }
        #expect(status?.code == .limitExceeded)
    }

    @Test func stringsMustBeUTF8() {
        var payload = Wire.payloadBytes(DescribeCollection(name: "gallery"))
        payload[4] = 0xff
        #expect(throws: WireDecodingError.invalidUTF8(field: "collection name")) {
            try Wire.decode(payload, like: DescribeCollection(name: ""))
        }
    }

    @Test func paddingMustBeZero() {
        let message = EmbeddingSample(embeddings: EmbeddingMatrix(dimension: 1, values: [1]))
        let face = FaceList(
            faces: [
                StoredFace(
                    id: MessageSamples.firstFace,
                    metadata: FaceMetadata(),
                    version: FaceVersion(epoch: 1, sequence: 1),
                    embedding: [1]
                )
            ])
        #expect(Wire.payloadBytes(message).count == 12 + 8)
        var payload = Wire.payloadBytes(face)
        // Behind the components are the flag and the epoch that came later.
        let end = payload.count - 9
        #expect(end % 4 == 0)
        payload[end - 5] = 1
        #expect(throws: WireDecodingError.nonZeroPadding(offset: end - 7)) {
            try Wire.decode(payload, like: face)
        }
    }

    @Test func floatRowsBeginAtAMultipleOfFourOfTheFrame() throws {
        for name in ["a", "ab", "abc", "abcd"] {
            let bytes = try Wire.frameBytes(search(rows: 1, dimension: 3, collection: name))
            let rows = Array(bytes.suffix(12))
            #expect(rows == [0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0x80, 0x3f])
            #expect((bytes.count - 12) % 4 == 0)
        }
    }

    @Test func aMatrixThatClaimsMoreThanIsThereIsRefusedWithoutMemory() {
        var writer = PayloadWriter(ByteBuffer())
        writer.count(65_536)
        writer.integer(UInt32.max)
        let before = residentByteCount()
        #expect(throws: WireDecodingError.self) {
            try Wire.decode(Array(writer.buffer.readableBytesView), like: MessageSamples.sample)
        }
        #expect(residentByteCount() - before < 16 << 20)
    }

    @Test func collectionsThatBreakTheirRulesAreRefusedByTheRule() {
        var configuration = MessageSamples.configuration
        configuration.dimension = 500
        #expect(
            refusal(CreateCollection(configuration: configuration))?.message.contains("must be a multiple of 8") == true
        )
        configuration = MessageSamples.configuration
        configuration.name = "Gallery"
        #expect(refusal(CreateCollection(configuration: configuration))?.code == .invalidRequest)
    }

    @Test func codebookSlicesMustLieInsideTheCodebook() {
        for (total, offset) in [(4, 0), (5, 1), (5, UInt64.max)] as [(UInt64, UInt64)] {
            let message = CodebookFetched(
                slice: CodebookSlice(totalByteCount: total, offset: offset, bytes: [1, 2, 3, 4, 5]),
                summary: MessageSamples.codebook
            )
            #expect(refusal(message)?.code == .invalidRequest)
        }
    }

    private func enrol(_ metadata: FaceMetadata) -> EnrolFaces {
        EnrolFaces(
            collection: "c",
            embeddingModel: "m",
            key: MessageSamples.key,
            rows: [EnrolRow(id: MessageSamples.firstFace, metadata: metadata)],
            embeddings: EmbeddingMatrix(dimension: 2, values: [1, 0])
        )
    }
}
