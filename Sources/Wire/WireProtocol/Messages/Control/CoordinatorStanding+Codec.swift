import ClusterModel

extension CoordinatorStanding {
    private enum Kind: UInt8, CaseIterable, Sendable {
        case untold = 0
        case none = 1
        case follows = 2
        case refuses = 3
    }

    func encode(into writer: inout PayloadWriter) {
        switch self {
        case .untold: writer.integer(Kind.untold.rawValue)
        case .none: writer.integer(Kind.none.rawValue)
        case .follows(let run):
            writer.integer(Kind.follows.rawValue)
            run.encode(into: &writer)
        case .refuses(let run, let address):
            writer.integer(Kind.refuses.rawValue)
            run.encode(into: &writer)
            address.encode(into: &writer)
        }
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let kind: Kind = try reader.enumeration("coordinator standing")
        switch kind {
        case .untold: self = .untold
        case .none: self = .none
        case .follows: self = .follows(run: try NodeID(decoding: &reader))
        case .refuses:
            self = .refuses(run: try NodeID(decoding: &reader), follows: try NodeAddress(decoding: &reader))
        }
    }
}
