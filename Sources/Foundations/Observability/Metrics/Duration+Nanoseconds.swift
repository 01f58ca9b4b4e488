extension Duration {
    /// As timers take it; 292 years at most.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : product &+ attoseconds / 1_000_000_000
    }

    /// As the slow-search log states it.
    package var wholeMicroseconds: Int64 { wholeNanoseconds / 1000 }
}
