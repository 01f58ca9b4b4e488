import VectorMath

/// Memory for a kernel at a chosen distance from 64-byte alignment, with guards that show writes beyond either end.
final class TestBuffer<Element: BitwiseCopyable> {
    let elements: UnsafeMutableBufferPointer<Element>
    private let memory: UnsafeMutableRawBufferPointer
    private let start: Int

    init(_ values: [Element], offset: Int = 0) {
        let byteCount = values.count * MemoryLayout<Element>.stride
        start = 64 + offset * MemoryLayout<Element>.alignment
        memory = .allocate(byteCount: start + byteCount + 64, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0xA5)
        let address = memory.baseAddress! + start
        elements = UnsafeMutableBufferPointer(
            start: address.bindMemory(to: Element.self, capacity: values.count),
            count: values.count
        )
        _ = elements.initialize(from: values)
    }

    deinit {
        memory.deallocate()
    }

    var readOnly: UnsafeBufferPointer<Element> { UnsafeBufferPointer(elements) }

    var values: [Element] { Array(elements) }

    var guardsAreIntact: Bool {
        let end = start + elements.count * MemoryLayout<Element>.stride
        return memory[..<start].allSatisfy { $0 == 0xA5 } && memory[end...].allSatisfy { $0 == 0xA5 }
    }
}
