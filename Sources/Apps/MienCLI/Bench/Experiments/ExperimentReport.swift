/// One value that was measured: shown with its decimals in a table, given as it is to programs.
enum ResultCell {
    case text(String)
    case count(Int)
    case number(Double, decimals: Int)
    /// 0…1, shown in percent.
    case share(Double)
    case none

    /// The share of what there was that was found; nothing where there was nothing.
    static func found(_ found: Int, of total: Int) -> ResultCell {
        total == 0 ? .none : .share(Double(found) / Double(total))
    }

    fileprivate var text: String {
        switch self {
        case .text(let text): text
        case .count(let count): "\(count)"
        case .number(let value, let decimals): NumberText.fixed(value, decimals)
        case .share(let share): NumberText.percent(share)
        case .none: "-"
        }
    }

    fileprivate var json: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .count(let count): .count(count)
        case .number(let value, _), .share(let value): .number(value)
        case .none: .null
        }
    }

    fileprivate var isText: Bool {
        if case .text = self { true } else { false }
    }
}

/// A table of results, for people and for programs.
struct ResultTable {
    struct Column {
        let key: String
        let title: String

        init(_ key: String, _ title: String? = nil) {
            self.key = key
            self.title = title ?? key
        }

        /// One for each band of mate similarity.
        static var bands: [Column] {
            SimilarityBands.names.map { Column("band_\($0)", $0) }
        }
    }

    let key: String
    let title: String
    let columns: [Column]
    private(set) var rows: [[ResultCell]] = []

    init(_ key: String, title: String, columns: [Column]) {
        self.key = key
        self.title = title
        self.columns = columns
    }

    mutating func append(_ cells: [ResultCell]) {
        precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
        rows.append(cells)
    }

    var text: String {
        var table = TextTable(
            columns.indices.map { column in
                let isText = rows.contains { $0[column].isText }
                return TextTable.Column(columns[column].title, isText ? .left : .right)
            }
        )
        for row in rows { table.append(row.map(\.text)) }
        return "\(title)\n\n\(table.rendered())"
    }

    var json: JSONValue {
        .array(rows.map { row in .object(zip(columns, row).map { ($0.key, $1.json) }) })
    }
}

/// What an experiment gave.
struct ExperimentReport {
    /// What it was made with.
    var facts: [(key: String, cell: ResultCell)] = []
    var tables: [ResultTable] = []

    func write(to console: Console, asJSON: Bool) {
        console.writeOutput(asJSON ? json.document : text)
    }

    private var text: String {
        let line = facts.map { "\($0.key.replacing("_", with: " ")): \($0.cell.text)" }.joined(separator: "; ")
        return ([line + "\n"] + tables.map(\.text)).joined(separator: "\n")
    }

    private var json: JSONValue {
        .object(facts.map { ($0.key, $0.cell.json) } + tables.map { ($0.key, $0.json) })
    }
}
