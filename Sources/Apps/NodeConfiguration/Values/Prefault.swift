/// What a worker reads into memory when it has opened a partition.
package enum Prefault: String, CaseIterable, Sendable {
    case none, codes, roundings, all
}
