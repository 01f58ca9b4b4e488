package import ClusterModel
import FaceModel

/// What a worker remembers of a shard that is whole and may take the place of others. Written when everything is on
/// disk, removed before anything is changed.
package struct SuccessorRecord: Equatable {
    static let kind = "mien-successor"
    static let format: UInt32 = 1

    package var shard: ShardID
    package var range: HashRange
    /// Shards that it is made from.
    package var sources: [UInt32]
    /// Through which everything of them is here, in the same order; empty in memory before there are any.
    package var sequences: [UInt64] = []

    static func path(in directory: String) -> String { "\(directory)/successor" }

    func write(in directory: String) throws(WorkerError) {
        precondition(sequences.count == sources.count, "a sequence for each source")
        let fields = [
            "collection": shard.collection.description, "shard": "\(shard.index)", "first": "\(range.first)",
            "last": "\(range.last)", "sources": RecordText.list(sources), "sequences": RecordText.list(sequences),
        ]
        let text = RecordText(kind: Self.kind, format: Self.format, fields: fields)
        try DurableFile.write(text.encoded, to: Self.path(in: directory))
    }

    /// The record in a folder; nil when there is none.
    package static func read(in directory: String, of shard: ShardID) throws(WorkerError) -> SuccessorRecord? {
        let path = path(in: directory)
        guard let bytes = try DurableFile.read(path, limit: RecordText.byteLimit) else { return nil }
        let text = try RecordText(decoding: bytes, kind: kind, supportedFormat: format, path: path)
        let sources: [UInt32] = try text.list("sources", path: path)
        let sequences: [UInt64] = try text.list("sequences", path: path)
        guard text.fields["collection"] == shard.collection.description, text.fields["shard"] == "\(shard.index)",
            let first = text.fields["first"].flatMap({ UInt64($0) }),
            let last = text.fields["last"].flatMap({ UInt64($0) }), first <= last, !sources.isEmpty,
            sources.count == sequences.count
        else { throw .corruptFile(path: path, reason: "it describes no shard of its folder") }
        return SuccessorRecord(
            shard: shard,
            range: HashRange(first: first, last: last),
            sources: sources,
            sequences: sequences
        )
    }
}

extension RecordText {
    /// Numbers with spaces between them.
    static func list(_ numbers: [some FixedWidthInteger]) -> String {
        numbers.map { "\($0)" }.joined(separator: " ")
    }

    /// The numbers of a field; none when it is absent.
    func list<T: FixedWidthInteger>(_ key: String, path: String) throws(WorkerError) -> [T] {
        var numbers: [T] = []
        for word in (fields[key] ?? "").split(separator: " ") {
            guard let number = T(word) else {
                throw .corruptFile(path: path, reason: "its \(key) are not numbers")
            }
            numbers.append(number)
        }
        return numbers
    }
}
