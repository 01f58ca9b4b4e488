/// What of a replica has to have room in a worker's memory before it comes there.
package enum ReservedMemory: String, CaseIterable, Sendable {
    case none
    case codes
}
