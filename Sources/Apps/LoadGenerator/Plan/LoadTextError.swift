/// What is wrong with a text that says what a load should do: one sentence for people.
package struct LoadTextError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
