import Foundation

/// A file that is being written: what of it is on the disk for good, and what is on its way there.
struct WrittenFile {
    private enum Step {
        case put(offset: Int, bytes: Data)
        case grow(Int)
        case cut(Int)
    }

    private var synced: Data
    private var underWay: [Step] = []
    private var byteCount: Int

    /// - Parameter bytes: that are on the disk.
    init(_ bytes: Data = Data()) {
        synced = bytes
        byteCount = bytes.count
    }

    /// Takes an event of this file; those of names are none.
    mutating func take(_ event: StorageRecord.Event) {
        switch event {
        case .write(let offset, let bytes, let isDurable):
            byteCount = max(byteCount, offset + bytes.count)
            let step = Step.put(offset: offset, bytes: bytes)
            if isDurable { Self.apply(step, to: &synced) } else { underWay.append(step) }
        case .sync:
            for step in underWay { Self.apply(step, to: &synced) }
            underWay.removeAll()
        case .length(let length):
            underWay.append(length < byteCount ? .cut(length) : .grow(length))
            byteCount = length
        case .made, .removed, .renamed: break
        }
    }

    /// As whoever reads it sees it, while there is power.
    var whole: Data {
        var file = synced
        for step in underWay { Self.apply(step, to: &file) }
        return file
    }

    /// As a power cut may leave it: of what was not synced any sectors of 512 bytes are there, in any order.
    func afterPowerCut(random: inout SeededRandom) -> Data {
        var file = synced
        let share = Double.random(in: 0...1, using: &random)
        for step in underWay.shuffled(using: &random) {
            guard case .put(let offset, let bytes) = step else {
                if Double.random(in: 0..<1, using: &random) < share { Self.apply(step, to: &file) }
                continue
            }
            let isTorn = Bool.random(using: &random)
            for first in stride(from: 0, to: bytes.count, by: isTorn ? 512 : bytes.count) {
                guard Double.random(in: 0..<1, using: &random) < share else { continue }
                let part = bytes.dropFirst(first).prefix(isTorn ? 512 : bytes.count)
                Self.apply(.put(offset: offset + first, bytes: part), to: &file)
            }
        }
        return file
    }

    private static func apply(_ step: Step, to file: inout Data) {
        switch step {
        case .put(let offset, let bytes):
            grow(&file, to: offset + bytes.count)
            file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        case .grow(let length): grow(&file, to: length)
        case .cut(let length): file = Data(file.prefix(length))
        }
    }

    private static func grow(_ file: inout Data, to length: Int) {
        if file.count < length { file.append(Data(count: length - file.count)) }
    }
}
