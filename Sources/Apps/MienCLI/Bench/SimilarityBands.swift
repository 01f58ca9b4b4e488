/// Bands of similarity in which mates are counted: those of low similarity are the ones that are lost.
enum SimilarityBands {
    /// Least similarity of each band; the first takes everything below the second.
    static let floors: [Float] = [-1, 0.30, 0.35, 0.40, 0.45, 0.50, 0.60]

    static var count: Int { floors.count }

    static func band(of similarity: Float) -> Int {
        floors.lastIndex { $0 <= similarity } ?? 0
    }

    /// For people: the first band is `below 0.30`.
    static let titles = ["below \(names[1])"] + names.dropFirst()

    /// Such as `0.35`, where the band begins.
    static let names = floors.map { $0 < 0 ? "-1" : NumberText.fixed(Double($0), 2) }
}
