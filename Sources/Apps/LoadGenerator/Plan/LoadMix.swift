/// What one call of a load does.
package enum LoadOperation: String, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
    /// One probe.
    case search
    /// Several probes in one request: the faces of a photo.
    case photo
    /// A stored face as the probe.
    case byFace = "by-face"
    /// One frame of a video stream: the faces in it.
    case frame
    /// New faces.
    case enrol
    /// Another image for a face that is there.
    case upsert
    case delete

    package var isWrite: Bool {
        switch self {
        case .enrol, .upsert, .delete: true
        case .search, .photo, .byFace, .frame: false
        }
    }

    /// For people.
    package var title: String {
        switch self {
        case .search: "search"
        case .photo: "photo search"
        case .byFace: "search by face"
        case .frame: "video frame"
        case .enrol: "enrol"
        case .upsert: "upsert"
        case .delete: "delete"
        }
    }
}

/// Which calls a load makes, and how often each: `search=80,photo:20=5,enrol=10,delete=5`.
package struct LoadMix: Sendable, Equatable {
    package struct Item: Sendable, Equatable {
        package var operation: LoadOperation
        /// Probes of a search, faces of a write.
        package var count: Int
        package var weight: Double
    }

    package static let example = "search=80,photo:20=5,enrol=10,delete=5"

    /// One probe after the other.
    package static let searches = LoadMix(items: [Item(operation: .search, count: 1, weight: 1)])
    private static let countLimit = 1000
    /// So that weights add up, and may be multiplied by counts.
    private static let weightLimit = 1e9

    /// At least one; weights are positive.
    package let items: [Item]
    private let totalWeight: Double

    package init(_ text: String) throws(LoadTextError) {
        var items: [Item] = []
        for (key, value) in try LoadText.pairs(text, what: "the mix", example: Self.example) {
            let words = key.split(separator: ":", omittingEmptySubsequences: false).map { LoadText.trimmed($0) }
            guard words.count <= 2, let operation = LoadOperation(rawValue: words[0]), operation != .frame else {
                let names = LoadOperation.allCases.filter { $0 != .frame }.map(\.rawValue).joined(separator: ", ")
                throw LoadTextError("'\(words[0])' is no call of a mix; there are \(names)")
            }
            guard !items.contains(where: { $0.operation == operation }) else {
                throw LoadTextError("'\(operation.rawValue)' is twice in the mix")
            }
            var count = operation == .photo ? 20 : 1
            if words.count == 2 {
                guard operation != .search, operation != .byFace else {
                    throw LoadTextError("'\(key)' has a count; only photo, enrol, upsert and delete take one")
                }
                guard let given = Int(words[1]), (1...Self.countLimit).contains(given) else {
                    throw LoadTextError("'\(key)' must have a count from 1 to \(Self.countLimit) after the colon")
                }
                count = given
            }
            guard let weight = Double(value), weight >= 0, weight <= Self.weightLimit else {
                throw LoadTextError("'\(value)' is no weight for \(key); weights are numbers from 0 to a billion")
            }
            if weight > 0 { items.append(Item(operation: operation, count: count, weight: weight)) }
        }
        guard !items.isEmpty else { throw LoadTextError("the mix must have a call with a weight above 0") }
        self.init(items: items)
    }

    private init(items: [Item]) {
        self.items = items
        totalWeight = items.reduce(0) { $0 + $1.weight }
    }

    /// The item for a uniform number of 0 ..< 1.
    package func item(at uniform: Double) -> Item {
        var position = uniform * totalWeight
        for item in items {
            if position < item.weight { return item }
            position -= item.weight
        }
        return items[items.count - 1]
    }

    /// Images that the writes take, of one call on average.
    package var imagesPerCall: Double {
        items.reduce(0) { sum, item in
            [.enrol, .upsert].contains(item.operation) ? sum + Double(item.count) * item.weight / totalWeight : sum
        }
    }

    package var hasWrites: Bool { items.contains { $0.operation.isWrite } }

    /// As it is written, weights in percent.
    package var description: String {
        items.map { item in
            let count = item.count == 1 ? "" : ":\(item.count)"
            let share = (item.weight / totalWeight * 1000).rounded() / 10
            return "\(item.operation.rawValue)\(count) \(share == share.rounded() ? "\(Int(share))" : "\(share)") %"
        }.joined(separator: ", ")
    }
}
