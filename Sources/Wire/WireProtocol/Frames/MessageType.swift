/// What a frame's payload is. Numbers are the wire's and are never used again for something else.
///
/// High byte: family (0 connection, 1 client, 2 control, 3 shard,
/// 4 replication).
package enum MessageType: UInt16, CaseIterable, Sendable {
    case hello = 0x0001
    case helloReply = 0x0002
    case ping = 0x0003
    case pong = 0x0004
    case cancel = 0x0005
    case status = 0x0006
    case goAway = 0x0007
    case acknowledgement = 0x0008

    case createCollection = 0x0101
    case describeCollection = 0x0102
    case collectionDescription = 0x0103
    case listCollections = 0x0104
    case collectionList = 0x0105
    case deleteCollection = 0x0106
    case collectionDeleted = 0x0107
    case verifyShard = 0x0108
    case shardVerified = 0x0109
    case enrolFaces = 0x0110
    case facesEnrolled = 0x0111
    case deleteFaces = 0x0112
    case facesDeleted = 0x0113
    case getFaces = 0x0114
    case faceList = 0x0115
    case listFaces = 0x0116
    case facePage = 0x0117
    case getLatestToken = 0x0118
    case latestToken = 0x0119
    case searchFaces = 0x0120
    case searchByFace = 0x0121
    case searchAnswer = 0x0122
    case getClusterStatus = 0x0130
    case clusterStatus = 0x0131
    case planOperation = 0x0140
    case operationPlan = 0x0141
    case beginOperation = 0x0142
    case changeOperation = 0x0143
    case operationDescription = 0x0144
    case listOperations = 0x0145
    case operationList = 0x0146
    case explainShard = 0x0147
    case shardExplanation = 0x0148
    case pinShard = 0x014c
    case acceptRecord = 0x014d
    case recordAccepted = 0x014e
    case recoverShard = 0x0149
    case shardRecovered = 0x014a
    case readLosses = 0x014b
    case lossList = 0x014f
    case beginBackup = 0x0150
    case backupBegun = 0x0151
    case describeSnapshot = 0x0152
    case snapshotDescription = 0x0153
    case readSnapshot = 0x0154
    case snapshotPage = 0x0155
    case releaseSnapshot = 0x0156
    case beginRestore = 0x0158
    case restoreFaces = 0x0159
    case finishRestore = 0x015a
    case readErasures = 0x015c
    case erasureList = 0x015d
    case readCodebook = 0x015e
    case restoreCodebook = 0x015f

    case heartbeat = 0x0201
    case heartbeatReply = 0x0202
    case hostReplica = 0x0203
    case dropReplica = 0x0204
    case trainCodebook = 0x0205
    case fetchCodebook = 0x0206
    case codebookFetched = 0x0207
    case installCodebook = 0x0208
    case sampleEmbeddings = 0x0209
    case embeddingSample = 0x020a
    case proposeGroup = 0x020b
    case groupRecord = 0x020c
    case verifyReplica = 0x020d
    case replicaVerified = 0x020e
    case prepareSuccessor = 0x020f
    case abandonSuccessor = 0x0210
    case abandonTraining = 0x0211

    case shardEnrol = 0x0301
    case shardEnrolled = 0x0302
    case shardDelete = 0x0303
    case shardDeleted = 0x0304
    case shardGet = 0x0305
    case shardList = 0x0306
    case shardSearch = 0x0307
    case shardSearchAnswer = 0x0308
    case holdWrites = 0x0309
    case cutShard = 0x030a
    case shardCut = 0x030b
    case shardRestore = 0x030c
    case shardErasures = 0x030d
    case confirmShard = 0x030e
    case shardConfirmed = 0x030f
    case readLog = 0x0310
    case logRead = 0x0311

    case appendEntries = 0x0401
    case entriesAppended = 0x0402
    case partitionSlice = 0x0403
    case offerCopy = 0x0404
    case copyStanding = 0x0405
}

extension MessageType {
    /// Whether a node's services answer it, each as a case of ``Request``.
    package var isRequest: Bool {
        switch self {
        case .createCollection, .describeCollection, .listCollections, .deleteCollection, .verifyShard, .enrolFaces,
            .deleteFaces, .getFaces, .listFaces, .searchFaces, .searchByFace, .getClusterStatus, .planOperation,
            .beginOperation, .changeOperation, .listOperations, .explainShard, .pinShard, .acceptRecord, .recoverShard,
            .readLosses, .heartbeat,
            .hostReplica, .dropReplica,
            .trainCodebook, .fetchCodebook, .installCodebook, .sampleEmbeddings, .proposeGroup,
            .verifyReplica, .prepareSuccessor, .abandonSuccessor, .abandonTraining,
            .shardEnrol, .shardDelete, .shardGet, .shardList, .shardSearch, .appendEntries, .partitionSlice,
            .offerCopy,
            .beginBackup, .describeSnapshot, .readSnapshot, .releaseSnapshot, .beginRestore, .restoreFaces,
            .finishRestore, .holdWrites, .cutShard, .shardRestore, .readErasures, .shardErasures,
            .readLog, .readCodebook, .restoreCodebook, .getLatestToken, .confirmShard:
            true
        case .hello, .helloReply, .ping, .pong, .cancel, .status, .goAway, .acknowledgement, .collectionDescription,
            .collectionList, .collectionDeleted, .shardVerified, .facesEnrolled, .facesDeleted, .faceList, .facePage,
            .searchAnswer,
            .clusterStatus, .operationPlan, .operationDescription, .operationList, .shardExplanation, .heartbeatReply,
            .codebookFetched, .embeddingSample, .groupRecord, .replicaVerified,
            .shardEnrolled,
            .shardDeleted, .shardSearchAnswer, .entriesAppended, .backupBegun, .snapshotDescription, .snapshotPage,
            .shardCut, .erasureList, .logRead, .recordAccepted, .shardRecovered, .lossList, .copyStanding, .latestToken,
            .shardConfirmed:
            false
        }
    }
}
