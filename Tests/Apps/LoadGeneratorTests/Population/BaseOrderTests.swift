import LoadGenerator
import Testing

@Suite struct BaseOrderTests {
    @Test(arguments: [1, 2, 3, 10, 128, 1000, 65_537])
    func everyFaceComesOnce(_ count: Int) {
        let order = BaseOrder(count: count)
        #expect(Set((0..<count).map(order.face)).count == count)
        #expect((0..<count).map(order.face).allSatisfy { (0..<count).contains($0) })
        #expect((0..<count).allSatisfy { order.place(of: order.face(at: $0)) == $0 })
    }

    @Test func neighboursInTheOrderLieFarApart() {
        let order = BaseOrder(count: 100_000)
        let faces = (0..<100).map(order.face).sorted()
        #expect(zip(faces, faces.dropFirst()).allSatisfy { $1 - $0 > 300 })
    }
}
