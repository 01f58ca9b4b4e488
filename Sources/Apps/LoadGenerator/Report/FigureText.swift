import ReportPage

/// Figures as people read them, units always with them.
package enum FigureText {
    /// Such as `870 µs`, `12.3 ms` or `1.25 s`: three digits.
    package static func time(_ microseconds: Double) -> String {
        guard microseconds.isFinite else { return "-" }
        if microseconds < 1000 { return "\(Int(microseconds.rounded())) µs" }
        if microseconds < 999_500 { return "\(digits(microseconds / 1000)) ms" }
        if microseconds < 120e6 { return "\(digits(microseconds / 1e6)) s" }
        return "\(Int((microseconds / 60e6).rounded())) min"
    }

    package static func time(_ microseconds: UInt64) -> String { time(Double(microseconds)) }

    /// As ``time(_:)-(Double)``, without decimals where there is nothing in them: for axes.
    package static func tick(_ microseconds: Double) -> String {
        let (value, unit) =
            microseconds < 1000
            ? (microseconds, "µs") : microseconds < 1e6 ? (microseconds / 1000, "ms") : (microseconds / 1e6, "s")
        return value == value.rounded() ? "\(Int(value)) \(unit)" : "\(DecimalText.fixed(value, 1)) \(unit)"
    }

    /// Such as `1 234 567`.
    package static func count(_ value: some BinaryInteger) -> String {
        let digits = "\(value.magnitude)"
        var text = ""
        for (place, digit) in digits.enumerated() {
            // A narrow space that does not break.
            if place > 0, (digits.count - place).isMultiple(of: 3) { text += "\u{202F}" }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }

    /// Such as `1 500 calls/s`.
    package static func rate(_ perSecond: Double, of what: String = "calls") -> String {
        let number = perSecond >= 100 ? count(Int(perSecond.rounded())) : digits(perSecond)
        return what.isEmpty ? "\(number)/s" : "\(number) \(what)/s"
    }

    /// Such as `99.95 %`; never 100 or 0 unless it is.
    package static func share(_ share: Double) -> String {
        guard share.isFinite else { return "-" }
        let percent = share * 100
        if percent == 0 || percent == 100 { return "\(Int(percent)) %" }
        if percent > 99.99 { return "> 99.99 %" }
        if percent < 0.01 { return "< 0.01 %" }
        return "\(DecimalText.fixed(percent, percent > 99 || percent < 1 ? 2 : 1)) %"
    }

    /// Such as `90 s` or `5 min`.
    package static func seconds(_ value: Double) -> String {
        if value >= 120, value == (value / 60).rounded() * 60 { return "\(Int(value / 60)) min" }
        return value == value.rounded() ? "\(Int(value)) s" : "\(DecimalText.fixed(value, 1)) s"
    }

    /// Three significant digits of a number from 1 to 1000, fewer decimals above.
    package static func digits(_ value: Double) -> String {
        if value >= 99.95 { return DecimalText.fixed(value, 0) }
        if value >= 9.995 { return DecimalText.fixed(value, 1) }
        return DecimalText.fixed(value, 2)
    }

    /// Such as `99` or `99.9`.
    package static func plain(_ value: Double) -> String { value == value.rounded() ? "\(Int(value))" : "\(value)" }
}
