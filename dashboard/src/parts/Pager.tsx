import { Button, Group } from '@mantine/core'
import { IconChevronLeft, IconChevronRight } from '@tabler/icons-react'
import { useState } from 'react'
import { useQuery } from './query'

export interface Pages {
  /** The key at which this page begins; undefined = the newest page. */
  cursor: string | undefined
  /** To the page that begins at this key. */
  older: (next: string | number) => void
  /** Back by one page, or to the newest. */
  newer: () => void
  first: () => void
}

/** Paging by key ("next" of an answer), kept in the address. `name` is the query's parameter: `const pages = usePager()`,
 * `useLive('/v1/job', { before: pages.cursor && Number(pages.cursor) })`, `<Pager pages={pages} next={data?.next} />`. */
export function usePager(name = 'before'): Pages {
  const [query, setQuery] = useQuery(name)
  const cursor = query[name]
  // Cursors of the pages before this one; an address from elsewhere has none, so "newer" leads to the first page there.
  const [trail, setTrail] = useState<{ at: string; newer: string | undefined }[]>([])
  const older = (next: string | number) => {
    setTrail([...trail.filter((one) => one.at !== String(next)), { at: String(next), newer: cursor }])
    setQuery({ [name]: String(next) }, { push: true })
  }
  const newer = () => setQuery({ [name]: trail.find((one) => one.at === cursor)?.newer }, { push: true })
  return { cursor, older, newer, first: () => setQuery({ [name]: undefined }, { push: true }) }
}

interface Props {
  pages: Pages
  /** The key of the page that follows; null or undefined = this is the last. */
  next: string | number | null | undefined
  /** What the buttons say, where rows are not in the order of their time. */
  words?: { first: string; newer: string; older: string }
}

const WORDS = { first: 'Newest', newer: 'Newer', older: 'Older' }

/** Newer and older; nothing where all is on one page. */
export function Pager({ pages, next, words = WORDS }: Props) {
  const last = next === null || next === undefined
  if (last && pages.cursor === undefined) return null
  return (
    <Group component="nav" aria-label={`${words.newer} and ${words.older.toLowerCase()}`} gap="xs" justify="flex-end">
      {pages.cursor !== undefined && (
        <Button variant="subtle" onClick={pages.first}>
          {words.first}
        </Button>
      )}
      <Button variant="default" leftSection={<IconChevronLeft size={14} />} disabled={pages.cursor === undefined} onClick={pages.newer}>
        {words.newer}
      </Button>
      <Button variant="default" rightSection={<IconChevronRight size={14} />} disabled={last} onClick={() => !last && pages.older(next)}>
        {words.older}
      </Button>
    </Group>
  )
}
