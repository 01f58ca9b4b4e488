import FaceModel

/// The labels of a numpy array file; see ``LabelReader`` for the types.
struct LabelArray {
    private enum Kind {
        case signed
        case unsigned
        case pair
        case bytes
        case scalars
    }

    let rowCount: Int
    private let kind: Kind
    private let rowBytes: Int
    private let source: FileSource

    init(source: FileSource) throws(EmbeddingFileError) {
        let path = source.name
        let header = try NpyHeader.read(from: source)
        let type = header.type
        let isPair = type == "<u8" && header.shape.count == 2 && header.shape[1] == 2
        guard header.shape.count == 1 || isPair else { throw .wrongLabelRank(path: path, shape: header.shape) }
        guard !isPair || !header.isFortranOrder || header.shape[0] <= 1 else { throw .fortranOrder(path: path) }
        if type.hasPrefix(">") { throw .bigEndian(path: path, type: String(type.prefix(40))) }
        let width = Int(type.drop { !$0.isNumber })
        switch (type.prefix { !$0.isNumber }, width) {
        case ("<u", 8) where isPair: (kind, rowBytes) = (.pair, 16)
        case ("<i", .some(let width)) where width == 4 || width == 8: (kind, rowBytes) = (.signed, width)
        case ("<u", .some(let width)) where width == 4 || width == 8: (kind, rowBytes) = (.unsigned, width)
        case ("|S", .some(let width)) where (1...256).contains(width): (kind, rowBytes) = (.bytes, width)
        case ("<U", .some(let width)) where (1...256).contains(width): (kind, rowBytes) = (.scalars, 4 * width)
        default:
            throw .unsupportedType(
                path: path,
                type: String(type.prefix(40)),
                supported: "int32, int64, uint32, uint64, pairs of uint64 and text of 1 to 256 characters"
            )
        }
        rowCount = header.shape[0]
        self.source = source
        try checkArraySize(source, rows: rowCount, rowBytes: rowBytes)
    }

    /// The next labels; the caller has checked that there are as many.
    func next(_ count: Int, firstRow: Int) throws(EmbeddingFileError) -> [String?] {
        let bytes = try source.bytes(count * rowBytes)
        guard bytes.count == count * rowBytes else {
            throw .truncated(
                path: source.name,
                promisedRows: rowCount,
                presentBytes: UInt64(firstRow * rowBytes + bytes.count),
                rowBytes: rowBytes
            )
        }
        var labels: [String?] = []
        labels.reserveCapacity(count)
        for row in 0..<count {
            labels.append(try label(bytes[(row * rowBytes)..<((row + 1) * rowBytes)], row: firstRow + row))
        }
        return labels
    }

    func skip(_ rows: Int) {
        source.skip(UInt64(rows) * UInt64(rowBytes))
    }

    private func label(_ bytes: ArraySlice<UInt8>, row: Int) throws(EmbeddingFileError) -> String? {
        let text: String
        switch kind {
        case .signed:
            let value = Self.number(bytes)
            text = rowBytes == 4 ? "\(Int32(truncatingIfNeeded: value))" : "\(Int64(bitPattern: value))"
        case .unsigned:
            text = "\(Self.number(bytes))"
        case .pair:
            text = UUIDText.format(high: Self.number(bytes.prefix(8)), low: Self.number(bytes.suffix(8)))
        case .bytes:
            guard let string = String(validating: Self.unpadded(bytes), as: UTF8.self) else {
                throw .labelNotText(path: source.name, row: row)
            }
            text = string
        case .scalars:
            var scalars = String.UnicodeScalarView()
            for start in stride(from: bytes.startIndex, to: bytes.endIndex, by: 4) {
                let code = UInt32(truncatingIfNeeded: Self.number(bytes[start..<(start + 4)]))
                if code == 0 { break }
                guard let scalar = Unicode.Scalar(code) else { throw .labelNotText(path: source.name, row: row) }
                scalars.append(scalar)
            }
            text = String(scalars)
        }
        return text.isEmpty ? nil : text
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func unpadded(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        bytes[..<(bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? bytes.startIndex)]
    }
}
