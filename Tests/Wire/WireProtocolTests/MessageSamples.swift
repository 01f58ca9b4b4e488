import ClusterModel
import FaceModel
import WireProtocol

/// One message of every type, made from fixed values: what the golden files hold.
enum MessageSamples {
    static let all: [any WireMessage] = connection + client + control + shard + replication + backup

    static let collectionID = CollectionID(high: 0x0011_2233_4455_4677, low: 0x8899_aabb_ccdd_eeff)
    static let operationID = OperationID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
    private static let split = OperationDescription.Step(
        collection: "gallery",
        shardIndex: 2,
        change: .split(at: 0x5555_5555_5555_5555, lower: 3, upper: 4),
        state: .waiting
    )
    private static let merge = OperationDescription.Step(
        collection: "gallery",
        shardIndex: 3,
        change: .merge(with: 4, into: 5),
        state: .done
    )
    static let operationStep = OperationDescription.Step(
        collection: "gallery",
        shardIndex: 2,
        change: .move(from: nodeID, to: secondNodeID),
        state: .running,
        waitsFor: "The replica on the worker at 10.0.0.6:7401 is catching up.",
        totalByteCount: 1 << 30,
        sentByteCount: 1 << 20,
        bytesPerSecond: 64e6,
        silentMilliseconds: 120,
        restartCount: 1
    )
    static let nodeID = NodeID(high: 0x0123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)
    static let secondNodeID = NodeID(high: 0x1123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)
    static let group = ReplicaGroup(
        epoch: Epoch(7),
        version: 4,
        primary: nodeID,
        inSync: [nodeID, secondNodeID],
        learners: [NodeID(high: 0x2123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef)],
        minimumInSync: 2
    )
    static let key = IdempotencyKey(high: 0x1111_2222_3333_4444, low: 0x5555_6666_7777_8888)
    static let firstFace = FaceID(high: 0xaaaa_aaaa_aaaa_4aaa, low: 0x8aaa_aaaa_aaaa_aaa1)
    static let secondFace = FaceID(high: 0xbbbb_bbbb_bbbb_4bbb, low: 0x8bbb_bbbb_bbbb_bbb2)
    static let shardID = ShardID(collection: collectionID, index: 2)
    static let route = ShardRoute(shard: shardID, epoch: Epoch(7))
    static let token = ConsistencyToken(collection: collectionID, sequences: [0: 41, 2: 1_000_000])

    static let metadata = FaceMetadata(
        personID: "person-1",
        externalImageID: "photo é.jpg",
        imageID: "image-7",
        boundingBox: BoundingBox(left: 0.25, top: 0.5, width: 0.125, height: 0.0625),
        quality: 98.5,
        confidence: 99.75,
        created: Timestamp(milliseconds: 1_790_000_000_000),
        expires: Timestamp(milliseconds: 1_890_000_000_000),
        attributes: ["camera": "north", "set": ""]
    )
    static let rows = [
        EnrolRow(id: firstFace, metadata: metadata), EnrolRow(id: secondFace, metadata: FaceMetadata()),
    ]
    static let embeddings = EmbeddingMatrix(dimension: 4, values: [1, -0.5, 0.25, 0, 0, 0.5, -1, 2])
    static let probes = EmbeddingMatrix(dimension: 4, values: [0.5, 0.5, -0.5, 0.5])
    static let parameters = SearchParameters(matchLimit: 10, threshold: 0.375, effort: .recall(0.99))
    static let filter = FaceFilter(
        personIDs: ["person-1", "person-2"],
        externalImageIDs: ["photo é.jpg"],
        attributes: ["camera": "north", "set": ""],
        createdFrom: Timestamp(milliseconds: 1_780_000_000_000),
        createdBefore: Timestamp(milliseconds: 1_790_000_000_001)
    )
    static let faces = [
        StoredFace(
            id: firstFace,
            metadata: metadata,
            version: FaceVersion(epoch: 3, sequence: 99),
            embedding: [0.5, 0.5, -0.5, 0.5]
        ),
        StoredFace(id: secondFace, metadata: FaceMetadata(), version: FaceVersion(epoch: 3, sequence: 100)),
    ]
    static let matches = [
        Match(faceID: firstFace, similarity: 0.875, metadata: metadata),
        Match(faceID: secondFace, similarity: 0.5, metadata: FaceMetadata(personID: "person-2")),
    ]
    static let outcomes: [EnrolOutcome] = [.accepted, .replaced, .superseded, .rejected(.notFinite)]
    static let configuration = CollectionConfiguration(
        name: "gallery",
        dimension: 512,
        embeddingModel: "model-a/1",
        shardCount: 3,
        replicationFactor: 1,
        storedPrecision: .float16
    )
    static let collection = FaceModel.Collection(
        id: collectionID,
        configuration: configuration,
        created: Timestamp(milliseconds: 1_790_000_000_000)
    )
    static let codebook = CollectionDescription.Codebook(
        generation: 1,
        codedDimension: 256,
        codeByteCount: 2,
        listCount: 1024,
        energyShare: 0.96875,
        sampleCount: 65_536,
        calibrationProbeCount: 4096,
        calibration: [
            .init(leastSimilarity: 0.5, recall: 0.9, visitedShare: 0.05),
            .init(leastSimilarity: 0.5, recall: 0.99, visitedShare: 0.25),
        ]
    )
    static let description = CollectionDescription(
        collection: collection,
        shards: [
            .init(
                index: 0,
                range: HashRange(first: 0, last: 0x5555_5555_5555_5554),
                worker: nodeID,
                state: .serving,
                faceCount: 33_000,
                freshCount: 12,
                tombstoneCount: 3,
                sequence: 41,
                generation: 2,
                olderGeneration: 1,
                olderRowCount: 20_000,
                replicas: [
                    .init(
                        worker: nodeID,
                        isPrimary: true,
                        isInSync: true,
                        role: .primary,
                        state: .serving,
                        sequence: 41
                    ),
                    .init(
                        worker: secondNodeID,
                        isPrimary: false,
                        isInSync: false,
                        role: .waiting,
                        state: .opening,
                        sequence: 17
                    ),
                ]
            ),
            .init(
                index: 1,
                range: HashRange(first: 0x5555_5555_5555_5555, last: .max),
                worker: nil,
                state: .missing,
                faceCount: 0,
                freshCount: 0,
                tombstoneCount: 0,
                sequence: 0
            ),
        ],
        training: .running,
        codebook: codebook,
        standing: .init(
            origin: CodebookOrigin(cause: .growth, faceCount: 200_000),
            fit: fit
        ),
        trainingUnderWay: .init(
            generation: 2,
            worker: nodeID,
            progress: .init(stage: .centroids, share: 0.25, elapsedMilliseconds: 12_345)
        ),
        restoredFrom: "gallery-20261126T231500Z-3f2a9c1b"
    )
    static let fit = CodebookFit(
        recentRowCount: 1234,
        energyRatio: 0.99,
        imbalanceRatio: 1.125,
        recall: RecallEvidence(probeCount: 1200, missedCount: 31.5, expectedCount: 12)
    )
    private static var reportWithRefusals: WorkerReport {
        var report = report
        report.stuckShards = [shardID]
        report.copyBytesPerSecond = 67_108_864
        report.promisedEpochs = [.init(shard: shardID, epoch: Epoch(9))]
        report.appliedEpochs = [.init(shard: shardID, epoch: Epoch(6))]
        report.searchedRows = [.init(shard: shardID, rowCount: 1_234_567_890_123)]
        report.copyRefusals = [.init(shard: shardID, worker: secondNodeID, reason: "there is no room")]
        return report
    }
    static let report = WorkerReport(
        replicas: [
            .init(
                shard: shardID,
                epoch: Epoch(7),
                groupVersion: 4,
                role: .primary,
                state: .serving,
                faceCount: 33_000,
                freshCount: 12,
                tombstoneCount: 3,
                sequence: 41,
                diskByteCount: 1 << 30,
                generation: 2,
                olderGeneration: 1,
                olderRowCount: 20_000,
                fit: fit,
                end: .init(groupVersion: 4, sequence: 41),
                warmth: 0.75
            )
        ],
        successors: [
            .init(
                shard: shardID,
                state: .sealed,
                rowCount: 33_000,
                totalRowCount: 33_000,
                diskByteCount: 71_000_000,
                sources: [.init(shardIndex: 3, sequence: 41)]
            ),
            .init(shard: shardID, state: .failed, failure: "a sentence"),
        ],
        trainings: [
            .init(
                collection: collectionID,
                generation: 2,
                isFinished: false,
                failure: nil,
                progress: .init(stage: .calibration, share: 0.5, elapsedMilliseconds: 54_321)
            ),
            .init(collection: collectionID, generation: 1, isFinished: true, failure: "the sample was too small"),
        ],
        residentByteCount: 1 << 28,
        mapped: MappedMemory(
            codeByteCount: 1 << 20,
            residentCodeByteCount: 3 << 18,
            rowByteCount: 1 << 23,
            residentRowByteCount: 1 << 21
        ),
        freeDiskByteCount: 1 << 40,
        availableMemoryByteCount: 1 << 33,
        memory: MemoryLedger(
            bound: .controlGroup,
            limitByteCount: 1 << 34,
            heldByteCount: 1 << 33,
            reserveByteCount: 1 << 30,
            isShort: true,
            parts: [
                .searchQueue: 1, .searchBuffers: 2, .writeQueue: 3, .log: 4, .copies: 5, .codebooks: 6, .filters: 7,
                .training: 8, .program: 9,
            ],
            freshByteCount: 1 << 20,
            mapByteCount: 1 << 36
        ),
        kernelLevel: "avx512",
        activity: activity
    )
    static let activity = NodeActivity(
        uptimeMilliseconds: 3_600_000,
        connectionCount: 12,
        requestsInFlight: 3,
        searchCount: 1_000_000,
        searchMedianMicroseconds: 850,
        search99thMicroseconds: 3100,
        writeCount: 5000,
        write99thMicroseconds: 9000,
        writtenFaceCount: 4_000_000,
        overloadCount: 7,
        queuedSearchCount: 5,
        queuedRowCount: 8192,
        recall: RecallTally(matchCount: 900, foundMatchCount: 890, mateCount: 300, foundMateCount: 298)
    )
    static let address = NodeAddress(host: "127.0.0.1", port: 7401)
    static let sample = EmbeddingSample(embeddings: embeddings, continuation: .from(row: 70_000))
    static let slice = CodebookSlice(totalByteCount: 1000, offset: 10, bytes: [1, 2, 3, 4, 5])

    static let connection: [any WireMessage] = [
        Hello(
            lowestVersion: 1,
            highestVersion: 1,
            features: 0,
            role: .client,
            token: "an example token",
            agent: "example/1.0"
        ),
        HelloReply(version: 1, features: 0, role: .coordinator, node: nodeID, limits: WireLimits(), agent: "mien/0.1"),
        Ping(), Pong(), Cancel(),
        WireStatus(.overloaded, "the search queue is full", retryAfterMilliseconds: 50).withoutEffect,
        GoAway(), Acknowledgement(),
    ]

    static let client: [any WireMessage] = [
        CreateCollection(configuration: configuration), DescribeCollection(name: "gallery"), description,
        ListCollections(), CollectionList(collections: [description]), deletion,
        CollectionDeleted(
            faceCount: 33_000,
            unconfirmed: [.init(id: nodeID, address: address), .init(id: nodeID, address: nil)]
        ),
        EnrolFaces(
            collection: "gallery",
            embeddingModel: "model-a/1",
            key: key,
            age: .milliseconds(1500),
            rows: rows,
            embeddings: embeddings
        ),
        FacesEnrolled(outcomes: outcomes, token: token),
        DeleteFaces(collection: "gallery", key: key, age: .milliseconds(1500), ids: [firstFace, secondFace]),
        FacesDeleted(outcomes: [.deleted, .absent], token: token, hasLoss: true),
        GetFaces(collection: "gallery", ids: [firstFace], includesEmbeddings: true, token: token),
        FaceList(faces: faces, hasLoss: true, epoch: Epoch(0x1_0000_0007)),
        GetLatestToken(collection: "gallery"),
        LatestToken(token: token),
        ListFaces(
            collection: "gallery",
            after: ListPosition(first: 7, stretches: [.init(last: 0xffff, face: firstFace)]),
            limit: 500,
            includesEmbeddings: false,
            collectionID: collectionID
        ),
        FacePage(faces: faces, next: ListPosition(first: 1 << 62), hasLoss: true, collectionID: collectionID),
        SearchFaces(
            collection: "gallery",
            embeddingModel: "model-a/1",
            parameters: parameters,
            coverage: .full,
            token: token,
            probes: probes
        ),
        SearchByFace(
            collection: "gallery",
            faceID: firstFace,
            parameters: SearchParameters(matchLimit: 3, threshold: nil, effort: .lists(64), filter: filter),
            coverage: .minimum(0.5),
            token: nil
        ),
        SearchAnswer(
            outcomes: [.matches(matches), .rejected(.zeroNorm)],
            coverage: Coverage(
                shardsAsked: 3,
                shardsAnswered: 2,
                facesTotal: 100_000,
                facesAnswered: 66_000,
                rowsVisited: 12_345,
                listsVisited: 24,
                generation: 1,
                missing: [.init(shardIndex: 1, reason: .unavailable)]
            ),
            elapsedMicroseconds: 850
        ),
        PlanOperation(order: .split(collection: "gallery", shardIndices: [2, 3])),
        OperationPlan(
            steps: [operationStep, split, merge],
            loads: [
                .init(
                    worker: nodeID,
                    incomingByteCount: 1,
                    outgoingByteCount: 2,
                    peakDiskByteCount: 3,
                    freeDiskByteCount: 4,
                    memoryByteCount: 5
                )
            ],
            estimatedSeconds: 12.5,
            assumedBytesPerSecond: 64e6,
            remarks: ["Shard 2 of collection 'gallery' is pinned to the worker at 10.0.0.5:7401: it stays."],
            fingerprint: 0x5f0e_4c2a_91d3_7b68
        ),
        BeginOperation(
            id: operationID,
            order: .copies(collection: "gallery", CopyCount(replicationFactor: 3, minimumInSync: 2)),
            fingerprint: 0x5f0e_4c2a_91d3_7b68
        ),
        ChangeOperation(id: operationID, verb: .cancel),
        OperationDescription(
            id: operationID,
            kind: .drain,
            worker: nodeID,
            state: .running,
            created: Timestamp(milliseconds: 1_700_000_000_000),
            note: "Worker 2 has not been heard of for too long.",
            steps: [operationStep]
        ),
        ListOperations(),
        operationList,
        ExplainShard(collection: "gallery", shardIndex: 2),
        ShardExplanation(
            verdicts: [
                .init(
                    worker: nodeID,
                    hasReplica: true,
                    isPinned: true,
                    rule: "pin",
                    reason: "It has a replica in sync."
                )
            ]
        ),
        PinShard(
            collection: "gallery",
            shardIndex: 2,
            pin: .init(workers: [nodeID, secondNodeID], primary: nodeID)
        ),
        AcceptRecord(collection: "gallery", shardIndex: 2, isPlan: true, confirmed: confirmation),
        RecordAccepted(
            storedVersion: 7,
            knownVersion: 9,
            primary: nodeID,
            replicas: [.init(worker: nodeID, sequence: 41), .init(worker: secondNodeID, sequence: nil)]
        ),
        RecoverShard(collection: "gallery", shardIndex: 2, isPlan: true, confirmed: confirmedRecovery), recovered,
        settlement,
        LossList(
            losses: [.init(range: HashRange(first: 5, last: 9), time: Timestamp(milliseconds: 1_700_000_000_000))],
            latest: Timestamp(milliseconds: 1_700_000_000_500)
        ),
        VerifyShard(collection: "gallery", shardIndex: 2, repairs: true),
        ShardVerified(
            replicas: [
                .init(worker: nodeID, isPrimary: true, finding: .sound, sequence: 41, faceCount: 33_000),
                .init(
                    worker: secondNodeID,
                    isPrimary: false,
                    finding: .damaged,
                    detail: "a sentence",
                    isReplaced: true
                ),
            ]
        ),
        GetClusterStatus(),
        ClusterStatus(
            clusterID: nodeID,
            coordinatorID: nodeID,
            version: "0.1",
            uptimeSeconds: 3600,
            epoch: Epoch(7),
            activity: activity,
            coordinators: [
                .init(id: nodeID, address: address, controllerSince: Timestamp(milliseconds: 1_700_000_000_000)),
                .init(id: nodeID, address: address, controllerSince: nil),
            ],
            storeProblem: "No store.",
            workers: [.init(id: nodeID, address: address, isLive: true, silentMilliseconds: 120, report: report)],
            collections: [description],
            comparedRowRates: [1_500_000],
            silenceCauses: [.hanging],
            differentShards: [shardID]
        ),
    ]

    static let control: [any WireMessage] = [
        Heartbeat(
            worker: nodeID,
            address: address,
            clusterID: nodeID,
            report: reportWithRefusals,
            standing: .refuses(run: secondNodeID, follows: address)
        ),
        HeartbeatReply(
            clusterID: nodeID,
            epoch: Epoch(7),
            coordinator: nodeID,
            revision: 11,
            coordinators: [.init(id: nodeID, address: address)],
            groups: [ShardGroup(shard: shardID, group: group)],
            workers: [.init(id: nodeID, address: address)],
            recordAge: 1500,
            heldCollections: [collectionID],
            run: secondNodeID,
            heldCopies: [.init(shard: shardID, worker: secondNodeID)],
            omitsGroups: true
        ),
        HostReplica(
            shard: shardID,
            range: HashRange(first: 1, last: 0xffff),
            collection: collection,
            group: group
        ),
        ProposeGroup(
            shard: shardID,
            proposal: GroupProposal(version: 4, epoch: Epoch(7), change: .remove(secondNodeID))
        ),
        ShardGroup(shard: shardID, group: group),
        VerifyReplica(shard: shardID),
        ReplicaVerified(
            sequence: 41,
            faceCount: 33_000,
            slices: (0..<256).map { UInt128($0) << 64 | 7 },
            damage: "a sentence"
        ),
        DropReplica(shard: shardID, epoch: Epoch(8), groupVersion: 9),
        PrepareSuccessor(
            shard: shardID,
            range: HashRange(first: 0, last: 0x5555_5555_5555_5554),
            collection: collection,
            erasureKey: ErasureKey(high: 5, low: 6),
            sources: [3, 4]
        ),
        AbandonSuccessor(shard: shardID, sparesSealed: true),
        AbandonTraining(collection: collectionID, generation: 2),
        TrainCodebook(
            collection: collection,
            generation: 2,
            listCount: 0,
            sources: [.init(shard: shardID, epoch: Epoch(7), address: address, sampleCount: 20_000)]
        ),
        FetchCodebook(collection: collectionID, generation: 2, offset: 4 << 20),
        CodebookFetched(slice: slice, summary: codebook),
        InstallCodebook(
            shard: shardID,
            epoch: Epoch(7),
            generation: 2,
            digest: (0..<32).map { UInt8($0) },
            slice: slice
        ),
        SampleEmbeddings(route: route, count: 4096, seed: 42, totalCount: 50_000, firstRow: 70_000),
        sample,
    ]

    static let replication: [any WireMessage] = [
        AppendEntries(
            shard: shardID,
            sender: nodeID,
            epoch: Epoch(7),
            previousSequence: 40,
            previousEpoch: Epoch(6),
            committed: 39,
            sent: 1_000_000,
            lease: .init(echo: 900_000, confirmationAge: 50_000),
            entries: [LogEntryBytes([1, 2, 3]), LogEntryBytes([4])]
        ),
        EntriesAppended(
            epoch: Epoch(7),
            outcome: .accepted(matched: 42, applied: 41),
            sent: 1_000_000,
            replied: 2_000_000,
            version: 9,
            hasRoom: true
        ),
        PartitionSlice(
            shard: shardID,
            sender: nodeID,
            epoch: Epoch(7),
            copy: 0xabcdef,
            sequence: 42,
            totalByteCount: 8192,
            offset: 4096,
            bytes: [9, 8, 7],
            digest: (0..<32).map { $0 }
        ),
        OfferCopy(
            shard: shardID,
            sender: nodeID,
            epoch: Epoch(7),
            copy: 0xabcdef,
            sequence: 42,
            totalByteCount: 8192
        ),
        CopyStanding(receivedByteCount: 4096),
    ]
}
