/// A row of small bars, for terminals.
package enum Sparkline {
    private static let bars: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

    /// The last values, from 0 to the greatest of them; a blank for nil.
    package static func text(_ values: [Double?], width: Int) -> String {
        let shown = values.suffix(width)
        let top = shown.compactMap(\.self).max() ?? 0
        return String(
            shown.map { value in
                guard let value else { return " " }
                guard top > 0 else { return bars[0] }
                return bars[min(bars.count - 1, Int(value / top * Double(bars.count)))]
            }
        )
    }
}
