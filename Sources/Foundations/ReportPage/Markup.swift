/// Text inside a page.
package enum Markup {
    /// With what means something to a parser written out; control characters become blanks.
    package static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n": result += "\n"
            default: result.unicodeScalars.append(scalar.properties.generalCategory == .control ? " " : scalar)
            }
        }
        return result
    }

    /// A table: cells of the first column and of those of words to the left, all others to the right.
    package static func table(
        _ titles: [String],
        _ rows: [[String]],
        ofWords wordColumns: Set<Int> = [],
        rowClass: (Int) -> String = { _ in "" }
    ) -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            cells.enumerated().map { column, cell in
                let style = wordColumns.contains(column) ? " class=\"text\"" : ""
                return "<\(tag)\(style)>\(escaped(cell))</\(tag)>"
            }.joined()
        }
        let head = row(titles, "th")
        let body = rows.enumerated().map { number, cells in
            let name = rowClass(number)
            return "<tr\(name.isEmpty ? "" : " class=\"\(name)\"")>"
                + row(cells, "td") + "</tr>\n"
        }.joined()
        return "<div class=\"wide\"><table><thead><tr>\(head)</tr></thead><tbody>\n\(body)</tbody></table></div>\n"
    }

    /// A command line, which is broken between its words only.
    package static func command(_ line: String) -> String {
        "<p><code>" + line.split(separator: " ").map { "<span>\(escaped(String($0)))</span>" }.joined(separator: " ")
            + "</code></p>\n"
    }

    /// Facts with their names, one a line.
    package static func facts(_ facts: [(name: String, text: String)]) -> String {
        "<dl>\n" + facts.map { "<dt>\(escaped($0.name))</dt><dd>\(escaped($0.text))</dd>\n" }.joined() + "</dl>\n"
    }
}
