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

    /// A table: cells of the first column to the left, all others to the right.
    package static func table(_ titles: [String], _ rows: [[String]], rowClass: (Int) -> String = { _ in "" }) -> String
    {
        let head = titles.map { "<th>\(escaped($0))</th>" }.joined()
        let body = rows.enumerated().map { number, cells in
            let name = rowClass(number)
            return "<tr\(name.isEmpty ? "" : " class=\"\(name)\"")>"
                + cells.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>\n"
        }.joined()
        return "<div class=\"wide\"><table><thead><tr>\(head)</tr></thead><tbody>\n\(body)</tbody></table></div>\n"
    }

    /// Facts with their names, one a line.
    package static func facts(_ facts: [(name: String, text: String)]) -> String {
        "<dl>\n" + facts.map { "<dt>\(escaped($0.name))</dt><dd>\(escaped($0.text))</dd>\n" }.joined() + "</dl>\n"
    }
}
