import ReportPage

/// Numbers as people read them.
package enum NumberText {
    /// With a fixed number of decimals, rounded half away from zero.
    package static func fixed(_ value: Double, _ decimals: Int) -> String { DecimalText.fixed(value, decimals) }

    /// With two or three digits that count and no zeros at the end, such as `250`, `1.5` or `0.002`.
    package static func short(_ value: Double) -> String {
        let size = abs(value)
        let decimals = size >= 10 ? 0 : size >= 1 ? 1 : size >= 0.1 ? 2 : size >= 0.01 ? 3 : size >= 0.001 ? 4 : 6
        var text = fixed(value, decimals)
        while text.contains("."), text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }

    /// By thousands, millions or billions where there are some, such as `950`, `12 k` or `3.4 M`.
    package static func thousands(_ value: Double) -> String {
        let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")]
        guard let (size, unit) = units.first(where: { value >= $0.0 }) else { return short(value) }
        return short(value / size) + unit
    }

    /// Such as `95.6 %`.
    package static func percent(_ share: Double) -> String { fixed(share * 100, 1) + " %" }

    /// Such as `1.5 GiB`.
    package static func bytes(_ count: UInt64) -> String { DecimalText.bytes(count) }

    /// Such as `12.3 ms`, `4.0 s`, `3 min 20 s` or `5 h 10 min`.
    package static func duration(_ duration: Duration) -> String {
        let seconds = self.seconds(duration)
        if seconds < 1 { return "\(fixed(seconds * 1000, 1)) ms" }
        if seconds < 60 { return "\(fixed(seconds, 1)) s" }
        let whole = Int(seconds.rounded())
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        if whole < 172_800 { return "\(whole / 3600) h \(whole / 60 % 60) min" }
        return "\(whole / 86_400) days"
    }

    /// Such as `850 µs`, `3.1 ms` or `1.2 s`.
    package static func latency(_ duration: Duration) -> String {
        let seconds = self.seconds(duration)
        if seconds < 0.001 { return "\(fixed(seconds * 1e6, 0)) µs" }
        return seconds < 1 ? "\(fixed(seconds * 1000, 1)) ms" : "\(fixed(seconds, 1)) s"
    }

    package static func seconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return Double(seconds) + Double(attoseconds) / 1e18
    }

    /// The first eight with commas between them, and how many more there are.
    static func listed(_ names: [String]) -> String {
        names.prefix(8).joined(separator: ", ") + (names.count > 8 ? " and \(names.count - 8) more" : "")
    }

    /// `1 face`, `2 faces`.
    package static func counted(_ count: some BinaryInteger, _ noun: String, plural: String? = nil) -> String {
        "\(count) \(count == 1 ? noun : plural ?? noun + "s")"
    }
}
