import FaceModel
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// Random transactions of the log on two replicas and on a model: however the entries are grouped, and however often
/// the replicas are maintained and opened again, both hold what the model holds.
struct PartitionLogModelTests {
    @Test(arguments: [StoredPrecision.float16, .float32])
    func randomTransactionsAgreeWithTheModel(precision: StoredPrecision) throws {
        var play = try LogPlay(precision: precision, seed: testSeed &+ UInt64(precision.rawValue))
        for step in 0..<160 {
            let comment = "seed \(testSeed), step \(step)"
            try play.order()
            try play.cutAndOrderAnew()
            for replica in play.replicas.indices {
                try play.step(replica, comment)
                try play.check(replica, comment)
            }
        }
        try play.finish("seed \(testSeed)")
        #expect(play.hasSeen.isSuperset(of: ["append", "apply", "cut", "forget", "promise", "reopen", "maintain"]))
    }
}

/// A primary without a partition, and two replicas that take what it ordered in steps of their own.
private struct LogPlay {
    struct Replica {
        let fixture: PartitionFixture
        /// What its log must hold, forgotten entries among them; sequence `n` at `n − 1`.
        var entries: [LogEntry] = []
        var appliedCount = 0
        var forgottenCount = 0
        var promise: UInt64 = 1
    }

    private(set) var replicas: [Replica]
    private(set) var hasSeen: Set<String> = []
    /// The one order of all.
    private var ordered: [LogEntry] = []
    private var batches: [WriteBatch] = []
    private var author: LogAuthor
    private var source: FaceSource
    private let precision: StoredPrecision
    private var now = Timestamp(milliseconds: 1000)
    private let first: LogEntry

    init(precision: StoredPrecision, seed: UInt64) throws {
        self.precision = precision
        source = FaceSource(dimension: 64, seed: seed)
        replicas = try (0..<2).map { index in
            var options = PartitionOptions.small
            options.receiptLimit = 40
            // What else each remembers must make no difference.
            options.earlierReceipts.leastCount = 60
            options.earlierReceipts.age = .zero
            if index == 0 { options.earlierReceipts = .none }
            return Replica(fixture: try PartitionFixture(precision: precision, options: options))
        }
        author = try LogAuthor(replicas[0].fixture.partition, epoch: 1)
        let batch = WriteBatch(key: .random(), operation: .beginEpoch)
        first = try author.entry(batch)
        ordered = [first]
        batches = [batch]
        for replica in replicas { _ = try replica.fixture.partition.commit(LogTransaction(promise: 1)) }
    }

    private mutating func random(_ range: Range<Int>) -> Int { .random(in: range, using: &source.generator) }

    private mutating func ids(_ count: Int) -> [FaceID] { (0..<count).map { _ in FaceID(random(0..<250)) } }

    private mutating func batch() throws -> WriteBatch {
        let fixture = replicas[0].fixture
        switch random(0..<12) {
        case 0..<6:
            let ids = ids(random(0..<30))
            let embeddings = ids.map { _ in source.embedding() }
            let now = now.milliseconds
            var generator = source.generator
            defer { source.generator = generator }
            return fixture.enrolment(ids, embeddings) { id in
                FaceMetadata(
                    personID: id.low % 3 == 0 ? "person \(id.low % 7)" : nil,
                    expires: id.low % 4 == 0
                        ? Timestamp(milliseconds: now + .random(in: 0..<400, using: &generator)) : nil,
                    attributes: id.low % 5 == 0 ? ["gate": "north"] : [:]
                )
            }
        case 6..<9: return WriteBatch(key: fixture.nextKey(), operation: .delete(ids(random(0..<20))))
        case 9:
            now = Timestamp(milliseconds: now.milliseconds + Int64(random(1..<300)))
            // As the primary sees it: a replica that is ahead or behind is asked, it makes no difference.
            let replica = random(0..<2)
            let operation = try replicas[replica].fixture.partition.expiry(now: now)
            return WriteBatch(key: fixture.nextKey(), operation: operation ?? .expire(at: now, faces: ids(5)))
        case 10: return WriteBatch(key: fixture.nextKey(), operation: .beginEpoch)
        default:
            // One that is known, or one that is none of the newest and is done again.
            return batches.suffix(random(0..<3) > 0 ? 20 : .max).randomElement(using: &source.generator)!
        }
    }

    /// Orders some more.
    mutating func order() throws {
        for _ in 0..<random(0..<4) {
            let batch = try batch()
            batches.append(batch)
            ordered.append(try author.entry(batch))
        }
    }

    /// A new primary: what no replica has applied may be lost, and something else is ordered in its place.
    mutating func cutAndOrderAnew() throws {
        guard random(0..<6) == 0 else { return }
        author.epoch += 1
        let kept = random(max(1, replicas.map(\.appliedCount).max()!)..<ordered.count + 1)
        author.rewind(to: ordered[kept - 1])
        ordered.removeSubrange(kept...)
        batches.removeSubrange(kept...)
        let batch = WriteBatch(key: .random(), operation: .beginEpoch)
        ordered.append(try author.entry(batch))
        batches.append(batch)
    }

    mutating func step(_ index: Int, _ comment: String) throws {
        var replica = replicas[index]
        let partition = replica.fixture.partition
        switch random(0..<10) {
        case 0:
            hasSeen.insert("reopen")
            try replica.fixture.reopen()
        case 1:
            hasSeen.insert("maintain")
            _ = try replica.fixture.maintain(now: now)
        case 2:
            let codebook = try FaceSource.codebook(dimension: 64)
            try partition.install(codebook: codebook)
        default:
            var transaction = LogTransaction()
            if replica.promise < author.epoch || random(0..<4) == 0 {
                hasSeen.insert("promise")
                transaction.promise = UInt64(random(0..<2)) == 0 ? author.epoch : max(author.epoch, 1) - 1
                if replica.promise < author.epoch { transaction.promise = author.epoch }
                replica.promise = max(replica.promise, transaction.promise!)
            }
            let common = zip(replica.entries, ordered).prefix { $0 == $1 }.count
            if common < replica.entries.count || random(0..<5) == 0 {
                hasSeen.insert("cut")
                let kept = random(max(replica.appliedCount, 0)..<common + 1)
                transaction.truncateAfter = UInt64(kept)
                replica.entries.removeSubrange(kept...)
            }
            let appendCount = random(0..<6)
            transaction.append = Array(ordered.dropFirst(replica.entries.count).prefix(appendCount))
            if !transaction.append.isEmpty { hasSeen.insert("append") }
            replica.entries += transaction.append
            let before = replica.appliedCount
            transaction.applyThrough = UInt64(random(0..<replica.entries.count + 3))
            replica.appliedCount = max(before, min(Int(transaction.applyThrough), replica.entries.count))
            if replica.appliedCount > before { hasSeen.insert("apply") }
            if random(0..<4) == 0 {
                hasSeen.insert("forget")
                let forgotten = random(0..<replica.appliedCount + 4)
                transaction.forgetThrough = UInt64(forgotten)
                replica.forgottenCount = max(replica.forgottenCount, min(forgotten, replica.appliedCount))
            }
            let outcome = try partition.commit(transaction)
            let expected = (before..<replica.appliedCount).map { UInt64($0 + 1) }
            #expect(outcome.applied.map(\.sequence) == expected, "\(comment)")
            #expect(try outcome.extent == partition.logExtent(), "\(comment)")
        }
        replicas[index] = replica
    }

    func check(_ index: Int, _ comment: String) throws {
        let replica = replicas[index]
        let partition = replica.fixture.partition
        let position = try partition.logExtent()
        #expect(position.lastSequence == UInt64(replica.entries.count), "\(comment)")
        #expect(position.lastChain == replica.entries.last?.chain ?? 0, "\(comment)")
        #expect(position.lastEpoch == replica.entries.last?.epoch ?? 0, "\(comment)")
        #expect(position.appliedSequence == UInt64(replica.appliedCount), "\(comment)")
        #expect(position.firstLogged == UInt64(replica.forgottenCount + 1), "\(comment)")
        #expect(position.promisedEpoch == replica.promise, "\(comment)")
        let logged = try partition.logEntries(from: position.firstLogged, byteLimit: .max)
        #expect(logged == Array(replica.entries[replica.forgottenCount...]), "\(comment)")
        try check(partition, appliedCount: replica.appliedCount, comment)
    }

    /// Faces, versions and receipts against a model that did the entries one by one.
    private func check(_ partition: Partition, appliedCount: Int, _ comment: String) throws {
        var model = PartitionModel(precision: precision, receiptLimit: 40)
        for (batch, entry) in zip(batches, ordered).prefix(appliedCount) { model.apply(batch, epoch: entry.epoch) }
        let faces = try partition.page(after: nil, limit: .max, byteLimit: .max, includesEmbeddings: true)
        #expect(faces.map(\.id) == model.faces.keys.sorted(), "\(comment)")
        for face in faces {
            let expected = try #require(model.faces[face.id], "\(comment)")
            #expect(face.version == expected.version && face.metadata == expected.metadata, "\(comment)")
            #expect(face.embedding == expected.embedding, "\(comment)")
        }
        for batch in batches.suffix(60) {
            #expect(try partition.receipt(of: batch.key) == model.receipt(of: batch.key), "\(comment)")
        }
        let digest = try partition.verifyAll()
        #expect(try digest != nil && digest == partition.digest(), "\(comment)")
    }

    /// Both take all there is: the same digests, and the same answers bit by bit.
    mutating func finish(_ comment: String) throws {
        for index in replicas.indices {
            let partition = replicas[index].fixture.partition
            let common = zip(replicas[index].entries, ordered).prefix { $0 == $1 }.count
            _ = try partition.commit(
                LogTransaction(
                    promise: author.epoch,
                    truncateAfter: UInt64(common),
                    append: Array(ordered[common...]),
                    applyThrough: .max
                )
            )
            try check(partition, appliedCount: ordered.count, comment)
        }
        let fixtures = replicas.map(\.fixture)
        #expect(try fixtures[0].partition.digest() == fixtures[1].partition.digest(), "\(comment)")
        #expect(
            try fixtures[0].partition.logExtent().lastChain == fixtures[1].partition.logExtent().lastChain,
            "\(comment)"
        )
        let probes = (0..<20).map { _ in source.embedding() }
        let answers = try fixtures.map { try $0.search(probes, limit: 20, now: now).found }
        #expect(answers[0] == answers[1] && answers[0][0].count == 20, "\(comment)")
        // Which faces other efforts compare in full follows from what each has folded; how alike they are does not.
        let all = try fixtures.map { try $0.search(probes, limit: 1000, now: now).found.map { Set($0) } }
        #expect(all[0] == all[1], "\(comment)")
        for (fixture, others) in zip(fixtures, all.reversed()) {
            for effort in [SearchEffort.full, .lists(4)] {
                let found = try fixture.search(probes, limit: 20, effort: effort, now: now).found
                for (found, all) in zip(found, others) {
                    #expect(Set(found).isSubset(of: all) && found.count > 0, "\(comment)")
                }
            }
        }
    }
}
