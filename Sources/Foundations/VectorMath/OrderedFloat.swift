extension Float {
    /// Bits that sort, as unsigned numbers, as the floats do; for all but NaN.
    @inlinable
    package var orderedBits: UInt32 {
        bitPattern & 0x8000_0000 == 0 ? bitPattern | 0x8000_0000 : ~bitPattern
    }

    @inlinable
    package init(orderedBits: UInt32) {
        self.init(bitPattern: orderedBits & 0x8000_0000 != 0 ? orderedBits & 0x7fff_ffff : ~orderedBits)
    }
}
