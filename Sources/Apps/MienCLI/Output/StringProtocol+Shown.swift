extension StringProtocol {
    /// With blanks for control characters, which would steer a terminal: for what others have a say in, such as names,
    /// addresses and reasons. Ends of lines stay.
    package func shown() -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control && scalar != "\n"
            scalars.append(isControl ? " " : scalar)
        }
        return String(scalars)
    }
}
