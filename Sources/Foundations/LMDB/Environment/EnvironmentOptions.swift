/// How an environment is opened. Durability is no option: every commit is synced.
package struct EnvironmentOptions: Sendable {
    /// Address space for the data file, which is its largest size; costs neither memory nor disk until used. Rounded up
    /// to whole pages.
    package var mapByteCount = 1 << 40
    /// Most tables open at once.
    package var maxTables = 32
    /// Most read transactions at once.
    package var maxReaders = 510
    /// Nothing is written; shared with other processes that open it so. The data file must exist.
    package var readOnly = false
    /// A page that is missing in memory is read alone, without those that the device's read-ahead would bring with it
    /// and other pages would have to leave for; what is read in order is read ahead on purpose: scans and copies by
    /// themselves, values by ``MappedPages/readAhead(_:)``. For files of which a part may be in memory.
    package var readsSinglePages = false
    /// Makes the folder and its missing parents, for this user only.
    package var createDirectory = false

    package init() {}
}
