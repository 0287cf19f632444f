import { Tabs } from '@mantine/core'
import type { ReactNode } from 'react'
import { useQuery } from './query'

interface Props {
  /** What the tabs are of, for who cannot see them. */
  label: string
  tabs: { name: string; title: string; content: ReactNode }[]
}

/** Parts of a page under tabs; which one is open is in the address (`?tab=`), and only that one is there. */
export function Parted({ label, tabs }: Props) {
  const [{ tab }, setQuery] = useQuery('tab')
  const first = tabs[0]?.name ?? ''
  const open = tabs.some((one) => one.name === tab) ? tab : first
  const go = (name: string | null) => {
    const gone = Object.fromEntries([...new URLSearchParams(location.search).keys()].map((key) => [key, undefined]))
    setQuery({ ...gone, tab: name && name !== first ? name : undefined }, { push: true }) // filters are of the part that is left
  }
  return (
    <Tabs value={open} onChange={go} keepMounted={false}>
      <Tabs.List aria-label={label} style={{ flexWrap: 'nowrap', overflowX: 'auto', overflowY: 'hidden' }}>
        {tabs.map((one) => (
          <Tabs.Tab key={one.name} value={one.name}>
            {one.title}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {tabs.map((one) => (
        <Tabs.Panel key={one.name} value={one.name} pt="lg">
          {one.content}
        </Tabs.Panel>
      ))}
    </Tabs>
  )
}
