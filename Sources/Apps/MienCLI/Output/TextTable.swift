/// Rows of text in aligned columns, two spaces apart.
package struct TextTable: Sendable {
    package enum Alignment: Sendable {
        case left
        case right
    }

    package struct Column: Sendable {
        var title: String
        var alignment: Alignment
        /// Longer cells are cut, with `…` as their last character.
        var widthLimit: Int
        /// The column is never narrower, so that tables written piece by piece stay aligned.
        var leastWidth: Int

        package init(_ title: String, _ alignment: Alignment = .left, widthLimit: Int = 40, leastWidth: Int = 0) {
            self.title = title
            self.alignment = alignment
            self.widthLimit = widthLimit
            self.leastWidth = leastWidth
        }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    package init(_ columns: [Column]) {
        self.columns = columns
    }

    package mutating func append(_ cells: [String]) {
        precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
        rows.append(zip(cells, columns).map { Self.cut($0, $1.widthLimit) })
    }

    var titles: [String] { columns.map(\.title) }
    /// Numbers of the columns that are aligned to the left.
    var leftColumns: Set<Int> { Set(columns.indices.filter { columns[$0].alignment == .left }) }
    /// Row by row.
    var cells: [[String]] { rows }

    /// Each line with its end; no line has blanks at its end.
    package func rendered(withTitles: Bool = true) -> String {
        let widths = columns.indices.map { column in
            let longest = rows.map { $0[column].count }.max() ?? 0
            return max(columns[column].title.count, columns[column].leastWidth, longest)
        }
        let lines = (withTitles ? [columns.map(\.title)] : []) + rows
        return lines.map { cells in
            let padded = cells.indices.map { column in
                let blanks = String(repeating: " ", count: widths[column] - cells[column].count)
                return columns[column].alignment == .left ? cells[column] + blanks : blanks + cells[column]
            }
            var line = padded.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    private static func cut(_ text: String, _ limit: Int) -> String {
        let shown = text.shown().replacing("\n", with: " ")
        return shown.count <= limit ? shown : shown.prefix(limit - 1) + "…"
    }
}
