import {
  IconBook, IconBuildingBank, IconCalendarClock, IconChartBar, IconDatabase, IconDeviceDesktop, IconFolder, IconHome, IconKey, IconNotebook,
  IconPackages, IconServer2, IconShieldLock, IconStack2, IconTopologyStar3, IconUser, IconWorld, IconBolt,
} from '@tabler/icons-react' // prettier-ignore

export interface Item {
  /** The page; it appears only where pages/index.ts has it. */
  href: string
  title: string
  icon: typeof IconHome
  /** Pressed after "g". */
  key: string
  /** For the owner of the installation alone. */
  owner?: boolean
}

/** The navigation, in groups. */
export const MENU: { title: string; items: Item[] }[] = [
  { title: '', items: [{ href: '/', title: 'Home', icon: IconHome, key: 'h' }] },
  {
    title: 'Work',
    items: [
      { href: '/jobs', title: 'Jobs', icon: IconStack2, key: 'j' },
      { href: '/queues', title: 'Queues', icon: IconTopologyStar3, key: 'q' },
      { href: '/cron', title: 'Cron', icon: IconCalendarClock, key: 'c' },
      { href: '/rest', title: 'REST', icon: IconWorld, key: 'r' },
      { href: '/realtime', title: 'Real-time', icon: IconBolt, key: 't' },
      { href: '/notebook', title: 'Notebook', icon: IconNotebook, key: 'n' },
      { href: '/desktop', title: 'Desktop', icon: IconDeviceDesktop, key: 'p' },
    ],
  },
  {
    title: 'Data',
    items: [
      { href: '/bucket', title: 'Bucket', icon: IconDatabase, key: 'b' },
      { href: '/volumes', title: 'Volumes', icon: IconFolder, key: 'v' },
      { href: '/environments', title: 'Environments', icon: IconPackages, key: 'e' },
    ],
  },
  {
    title: 'Money',
    items: [
      { href: '/usage', title: 'Usage', icon: IconChartBar, key: 'u' },
      { href: '/grants', title: 'Grants', icon: IconBuildingBank, key: 'm' },
    ],
  },
  {
    title: 'Account',
    items: [
      { href: '/keys', title: 'API keys', icon: IconKey, key: 'k' },
      { href: '/account', title: 'Account', icon: IconUser, key: 'a' },
    ],
  },
  {
    title: 'Installation',
    items: [
      { href: '/cluster', title: 'Cluster', icon: IconServer2, key: 'l', owner: true },
      { href: '/admin', title: 'Admin', icon: IconShieldLock, key: 'o', owner: true },
    ],
  },
  { title: '', items: [{ href: '/docs', title: 'Docs', icon: IconBook, key: 'd' }] },
]
