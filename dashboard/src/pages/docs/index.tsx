import { Button, Skeleton, Title } from '@mantine/core'
import { IconList } from '@tabler/icons-react'
import { useEffect, useRef, useState } from 'react'
import { Link, Redirect } from 'wouter'
import { usePathname } from 'wouter/use-browser-location'
import { Empty, ErrorBox, Search } from '~/parts'
import { type Book, search, useBook } from './book'
import classes from './docs.module.css'
import { Paper } from './paper'

/** The documentation: what there is at the left, a page, and what is in it at the right. */
export default function Docs() {
  const { book, error } = useBook()
  const slug = decodeURIComponent(usePathname().slice('/docs/'.length))
  const [typed, setTyped] = useState('')
  const [opened, setOpened] = useState(false)
  const page = book?.pages[slug]
  useEffect(() => {
    document.title = `${page?.title ?? 'Docs'} · PiCloud`
  }, [page])
  const first = book?.sections[0]?.pages[0]
  if (book && !slug && first) return <Redirect to={`/docs/${first}`} replace />
  return (
    <div className={classes.frame}>
      <div className={classes.side}>
        <div className={classes.top}>
          <Search label="Search the docs" value={typed} onChange={setTyped} pause={0} />
          <Button className={classes.burger} variant="default" leftSection={<IconList size={14} />} aria-expanded={opened} onClick={() => setOpened(!opened)}>
            Contents
          </Button>
        </div>
        {book && <Contents book={book} slug={slug} opened={opened} />}
      </div>
      <div className={classes.page}>
        <ErrorBox error={error} />
        {book && typed ? (
          <Results book={book} typed={typed} onGo={() => setTyped('')} />
        ) : page ? (
          <Paper key={slug} leaf={page} slug={slug} />
        ) : book ? (
          <Missing />
        ) : (
          !error && <Loading />
        )}
      </div>
    </div>
  )
}

function Contents({ book, slug, opened }: { book: Book; slug: string; opened: boolean }) {
  const here = useRef<HTMLAnchorElement>(null)
  useEffect(() => {
    void here.current?.scrollIntoView({ block: 'nearest' }) // some browsers answer a promise, which is no effect's
  }, [slug])
  return (
    <nav className={classes.tree} aria-label="Documentation" data-opened={opened || undefined}>
      {book.sections.map((section) => (
        <div key={section.name}>
          <div className={classes.section}>{section.title}</div>
          {section.pages.map((one) => (
            <Link key={one} href={`/docs/${one}`} className={classes.leaf} aria-current={one === slug ? 'page' : undefined} ref={one === slug ? here : undefined}>
              {book.pages[one]?.title}
            </Link>
          ))}
        </div>
      ))}
    </nav>
  )
}

function Results({ book, typed, onGo }: { book: Book; typed: string; onGo: () => void }) {
  const found = search(book, typed)
  return (
    <section aria-label="Results">
      <Title order={1} mb="md">
        {found.length ? `Results for “${typed}”` : 'Nothing was found'}
      </Title>
      {!found.length && <p className="pc-dim">No page has all of these words: {typed}</p>}
      <ol className={classes.results}>
        {found.map((one) => (
          <li key={one.href}>
            <Link href={one.href} onClick={onGo}>
              <strong>{one.title}</strong> {one.title !== one.page && <span className="pc-dim">in {one.page}</span>}
            </Link>
            <div className="pc-dim">{one.text}</div>
          </li>
        ))}
      </ol>
    </section>
  )
}

const Missing = () => (
  <div className="pc-card">
    <Title order={1} className="pc-unseen">
      Not found
    </Title>
    <Empty title="There is no such page">It may have had another name in another version; the search finds it by its words.</Empty>
  </div>
)

const Loading = () => (
  <>
    <Skeleton height={28} width={280} mb="lg" />
    {[90, 96, 84, 92, 70].map((width) => (
      <Skeleton key={width} height={12} width={`${width}%`} mb="sm" />
    ))}
  </>
)
