/// Every message that a node's services answer. Hello, ping and cancel stay in the transport.
package enum Request: Sendable {
    case createCollection(CreateCollection)
    case describeCollection(DescribeCollection)
    case listCollections(ListCollections)
    case deleteCollection(DeleteCollection)
    case enrolFaces(EnrolFaces)
    case deleteFaces(DeleteFaces)
    case getFaces(GetFaces)
    case listFaces(ListFaces)
    case searchFaces(SearchFaces)
    case searchByFace(SearchByFace)
    case getClusterStatus(GetClusterStatus)
    case heartbeat(Heartbeat)
    case hostReplica(HostReplica)
    case dropReplica(DropReplica)
    case trainCodebook(TrainCodebook)
    case fetchCodebook(FetchCodebook)
    case installCodebook(InstallCodebook)
    case sampleEmbeddings(SampleEmbeddings)
    case shardEnrol(ShardEnrol)
    case shardDelete(ShardDelete)
    case shardGet(ShardGet)
    case shardList(ShardList)
    case shardSearch(ShardSearch)

    /// Reads a frame's payload; nil when its type is not ``MessageType/isRequest``.
    package init?(_ frame: Frame, limits: WireLimits) throws(WireDecodingError) {
        guard let type = frame.header.type else { return nil }
        switch type {
        case .createCollection: self = .createCollection(try frame.decode(CreateCollection.self, limits: limits))
        case .describeCollection: self = .describeCollection(try frame.decode(DescribeCollection.self, limits: limits))
        case .listCollections: self = .listCollections(try frame.decode(ListCollections.self, limits: limits))
        case .deleteCollection: self = .deleteCollection(try frame.decode(DeleteCollection.self, limits: limits))
        case .enrolFaces: self = .enrolFaces(try frame.decode(EnrolFaces.self, limits: limits))
        case .deleteFaces: self = .deleteFaces(try frame.decode(DeleteFaces.self, limits: limits))
        case .getFaces: self = .getFaces(try frame.decode(GetFaces.self, limits: limits))
        case .listFaces: self = .listFaces(try frame.decode(ListFaces.self, limits: limits))
        case .searchFaces: self = .searchFaces(try frame.decode(SearchFaces.self, limits: limits))
        case .searchByFace: self = .searchByFace(try frame.decode(SearchByFace.self, limits: limits))
        case .getClusterStatus: self = .getClusterStatus(try frame.decode(GetClusterStatus.self, limits: limits))
        case .heartbeat: self = .heartbeat(try frame.decode(Heartbeat.self, limits: limits))
        case .hostReplica: self = .hostReplica(try frame.decode(HostReplica.self, limits: limits))
        case .dropReplica: self = .dropReplica(try frame.decode(DropReplica.self, limits: limits))
        case .trainCodebook: self = .trainCodebook(try frame.decode(TrainCodebook.self, limits: limits))
        case .fetchCodebook: self = .fetchCodebook(try frame.decode(FetchCodebook.self, limits: limits))
        case .installCodebook: self = .installCodebook(try frame.decode(InstallCodebook.self, limits: limits))
        case .sampleEmbeddings: self = .sampleEmbeddings(try frame.decode(SampleEmbeddings.self, limits: limits))
        case .shardEnrol: self = .shardEnrol(try frame.decode(ShardEnrol.self, limits: limits))
        case .shardDelete: self = .shardDelete(try frame.decode(ShardDelete.self, limits: limits))
        case .shardGet: self = .shardGet(try frame.decode(ShardGet.self, limits: limits))
        case .shardList: self = .shardList(try frame.decode(ShardList.self, limits: limits))
        case .shardSearch: self = .shardSearch(try frame.decode(ShardSearch.self, limits: limits))
        default: return nil
        }
    }
}
