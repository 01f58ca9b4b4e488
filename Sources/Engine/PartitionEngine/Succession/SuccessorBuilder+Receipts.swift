internal import FaceModel
internal import LMDB
internal import PartitionStore

/// Receipts of the sources, which come over while these are written, so that little is left for when writes wait.
extension SuccessorBuilder {
    /// Receipts that come over in one commit.
    private static let receiptsAtOnce = 8192

    /// Takes some receipts over that are not here yet: of all sources in the order in which they were kept, so that the
    /// oldest are the first to be forgotten. Those that come later were kept later.
    ///
    /// - Returns: whether there are more.
    package func copyReceipts() throws(PartitionError) -> Bool {
        do {
            return try takeReceipts()
        } catch {
            throw PartitionError(error)
        }
    }

    func takeReceipts() throws -> Bool {
        let spans = try sources.enumerated().map { index, source in
            try source.partition.environment.read { reading in
                let numbers = try source.partition.oldestReceipt(reading)..<source.partition.state(reading).nextReceipt
                return ReceiptSpan.all(
                    of: index,
                    numbers: numbers.clamped(to: source.nextReceipt..<max(source.nextReceipt, numbers.upperBound)),
                    kept: try Partition.receiptTimes(source.partition.tables, reading),
                    now: source.partition.time
                )
            }
        }
        guard spans.contains(where: { !$0.isEmpty }) else { return false }
        let now = partition.time
        var next = sources.map(\.nextReceipt)
        var room = UInt64(Self.receiptsAtOnce)
        try partition.environment.write { transaction in
            var pass = try WritePass(partition, transaction)
            for span in ReceiptSpan.merged(spans) where room > 0 {
                let numbers = span.numbers.prefix(Int(room))
                let source = sources[span.source].partition
                try source.environment.read { reading in
                    // Meanwhile some may have been forgotten.
                    let oldest = try source.oldestReceipt(reading)
                    for number in numbers where number >= oldest {
                        guard let (key, receipt) = try source.receipt(numbered: number, reading) else { continue }
                        try pass.inherit(key, receipt, from: source.identity, transaction)
                    }
                }
                room -= UInt64(numbers.count)
                next[span.source] = numbers.endIndex
                note(pass.state.nextReceipt, keptBy: now - min(span.age, now))
            }
            _ = try pass.finish(transaction)
        }
        for index in sources.indices { sources[index].nextReceipt = next[index] }
        return room == 0
    }

    /// Notes by when receipts below a number were kept, unless the last such note is about almost as many.
    private func note(_ number: UInt64, keptBy time: UInt64) {
        if receiptSamples.last?.number == number { receiptSamples.removeLast() }
        if let last = receiptSamples.last, number - last.number < partition.options.receiptSpacing { return }
        receiptSamples.append(
            ReceiptTimesRecord.Sample(number: number, time: max(time, receiptSamples.last?.time ?? 0))
        )
    }

    /// When the receipts were kept that came over: none before a source forgot its last.
    func receiptTimes(_ state: PartitionState, oldest: UInt64) throws -> ReceiptTimesRecord {
        var latest: UInt64?
        for source in sources {
            guard
                let age = try source.partition.environment.read({ try source.partition.timeSinceForgotten($0) })
            else { continue }
            latest = max(latest ?? 0, partition.time - min(age, partition.time))
        }
        var samples = receiptSamples.filter { $0.number >= oldest }.map {
            ReceiptTimesRecord.Sample(number: $0.number, time: max($0.time, latest ?? 0))
        }
        if latest == nil, oldest == 0 {
            samples.insert(ReceiptTimesRecord.Sample(number: 0, time: 0), at: 0)
        } else if samples.isEmpty {
            // Zero would say that there never was another.
            samples = [ReceiptTimesRecord.Sample(number: state.nextReceipt, time: max(latest ?? partition.time, 1))]
        }
        return ReceiptTimesRecord(samples: samples)
    }
}
