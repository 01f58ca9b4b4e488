/// The values of the label `collection`: the names of so many collections, and one for all others, so that no number of
/// collections makes more series than a Prometheus can keep.
package struct CollectionLabels: Sendable {
    private let named: Set<String>

    package init(_ names: [String]) {
        let distinct = Set(names)
        named =
            distinct.count <= MetricLabel.collectionLimit
            ? distinct : Set(distinct.sorted().prefix(MetricLabel.collectionLimit))
    }

    package func label(of name: String) -> String {
        named.contains(name) ? name : MetricLabel.otherCollections
    }
}
