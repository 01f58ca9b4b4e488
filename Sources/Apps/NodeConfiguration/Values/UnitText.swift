/// Reads and writes amounts with a unit, such as `16MiB` or `250ms`: digits, then a unit from a table, no space.
struct UnitText: Sendable {
    /// Units from the largest to the smallest, each with how many of the smallest it is.
    let units: [(name: String, multiple: Int)]

    /// Sizes in bytes. Powers of 1000 are left out on purpose: `MB` is read as either by different people.
    static let bytes = UnitText(units: [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ])

    /// Durations in milliseconds.
    static let milliseconds = UnitText(units: [("h", 3_600_000), ("m", 60000), ("s", 1000), ("ms", 1)])

    /// Nil when the unit is missing or unknown, or the amount does not fit an `Int`.
    func amount(_ text: String) -> Int? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        let unitName = String(text.dropFirst(digits.count))
        guard !digits.isEmpty, let count = Int(String(digits) ?? ""),
            let unit = units.first(where: { $0.name == unitName })
        else { return nil }
        let (amount, overflow) = count.multipliedReportingOverflow(by: unit.multiple)
        return overflow ? nil : amount
    }

    /// The shortest exact text, in the largest unit that divides the amount.
    func text(_ amount: Int) -> String {
        for unit in units where amount % unit.multiple == 0 && amount != 0 {
            return "\(amount / unit.multiple)\(unit.name)"
        }
        return "\(amount)\(units[units.count - 1].name)"
    }
}
