internal import BinaryCoding

/// When receipts were kept: so that a write whose receipt may have been forgotten is told from one that was never done.
///
/// Times are milliseconds of the partition's own clock. It goes on only while somebody has the partition open, and
/// from one life to the next it goes back to the last time that is noted here, so of two moments it tells how far they
/// are apart at least.
///
/// | bytes | field |
/// |---|---|
/// | 4 | samples n, ascending |
/// | 16 n | each: number of the next receipt (8), time (8): receipts of lower numbers were kept by then |
/// | 4 | CRC-32C |
package struct ReceiptTimesRecord: Hashable, Sendable {
    package struct Sample: Hashable, Sendable {
        package let number: UInt64
        package let time: UInt64

        package init(number: UInt64, time: UInt64) {
            self.number = number
            self.time = time
        }
    }

    /// Samples among as many receipts as are kept at least.
    package static let sampleCount: UInt64 = 64

    package private(set) var samples: [Sample]

    package init(samples: [Sample]) {
        self.samples = samples
    }

    /// Of a partition in which nothing was ever written.
    package static let ofNothing = ReceiptTimesRecord(samples: [Sample(number: 0, time: 0)])

    /// Milliseconds after which it is first noted how long ago a partition began that stands in for others.
    private static let leastInterval: UInt64 = 60_000

    /// Of a partition that stands in for others, of whose receipts it has none: they may have been kept until it began.
    ///
    /// - Parameter time: when it began.
    package static func ofOthers(until time: UInt64) -> ReceiptTimesRecord {
        ReceiptTimesRecord(samples: [Sample(number: 0, time: max(time, 1))])
    }

    /// Whether it is worth noting how late it is in a partition that stands in for others, so that the next life of the
    /// process, which goes on from the last time, knows that these are long gone: each time when twice as much has
    /// passed.
    private func isAged(at time: UInt64) -> Bool {
        guard let first = samples.first, first.number == 0, first.time > 0, let last = samples.last else {
            return false
        }
        return time > last.time && time - last.time >= max(Self.leastInterval, last.time - first.time)
    }

    /// Notes the time when the last sample is that many receipts behind, or old; see ``ofOthers(until:)``.
    ///
    /// - Parameters:
    ///   - oldest: number of the oldest receipt that is kept; what tells only of older ones is left out.
    ///   - spacing: that many, positive.
    /// - Returns: whether it did.
    package mutating func note(number: UInt64, oldest: UInt64, spacing: UInt64, time: UInt64) -> Bool {
        if let last = samples.last {
            guard number > last.number, number - last.number >= spacing || isAged(at: time) else { return false }
        }
        samples.append(Sample(number: number, time: max(time, samples.last?.time ?? 0)))
        samples.removeAll { $0.number < oldest }
        return true
    }

    /// By when all receipts were kept that are not there any more.
    ///
    /// - Parameter oldest: number of the oldest receipt that is kept.
    package func forgotten(oldest: UInt64) -> Forgotten {
        if oldest == 0, samples.first == Sample(number: 0, time: 0) { return .nothing }
        return samples.first { $0.number >= oldest }.map { .by($0.time) } ?? .unknown
    }

    package enum Forgotten: Hashable, Sendable {
        /// No receipt has ever been forgotten.
        case nothing
        case by(UInt64)
        /// They may have been kept just now.
        case unknown
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 8 + 16 * samples.count)
        writer.write(UInt32(samples.count))
        for sample in samples {
            writer.write(sample.number)
            writer.write(sample.time)
        }
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            let count = Int(try reader.read(UInt32.self))
            guard reader.remainingByteCount == 16 * count else {
                throw BinaryCodingError.invalidValue(field: "sample count", offset: 0)
            }
            samples = []
            for index in 0..<count {
                let sample = Sample(number: try reader.read(), time: try reader.read())
                guard sample.number <= PartitionState.counterLimit, sample.time <= PartitionState.counterLimit,
                    samples.last.map({ $0.number < sample.number && $0.time <= sample.time }) ?? true
                else { throw BinaryCodingError.invalidValue(field: "sample", offset: 4 + 16 * index) }
                samples.append(sample)
            }
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }
}
