import { useEffect, useState } from 'react'
import { ApiError, asError } from '~/api/error'
import source from '~/generated/docs.json?url'

export interface Heading {
  id: string
  text: string
  level: number
}

export interface Leaf {
  title: string
  html: string
  headings: Heading[]
}

/** The documentation as scripts/docs.mjs has made it. */
export interface Book {
  sections: { name: string; title: string; pages: string[] }[]
  pages: Record<string, Leaf>
  search: { page: string; id: string; title: string; text: string }[]
}

let book: Promise<Book> | undefined

async function read(): Promise<Book> {
  const answer = await fetch(source, { credentials: 'omit' })
  if (!answer.ok) throw new ApiError({ message: 'the documentation is not there', hint: 'load the dashboard anew' }, answer.status)
  return (await answer.json()) as Book
}

/** The documentation, read once for the whole time that the application is open. */
export function useBook(): { book: Book | undefined; error: ApiError | undefined } {
  const [state, setState] = useState<{ book?: Book; error?: ApiError }>({})
  useEffect(() => {
    let there = true
    book ??= read()
    book.then(
      (found) => there && setState({ book: found }),
      (thrown: unknown) => {
        book = undefined // another visit tries again
        if (there) setState({ error: asError(thrown) })
      },
    )
    return () => {
      there = false
    }
  }, [])
  return { book: state.book, error: state.error }
}

export interface Found {
  href: string
  page: string
  title: string
  /** Around the first word that was found. */
  text: string
}

const MOST = 30
const AROUND = 90

/** Parts of pages with all the words, titles first. */
export function search(book: Book, typed: string): Found[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean)
  if (!words.length) return []
  const hits: (Found & { score: number })[] = []
  for (const part of book.search) {
    const [title, text] = [part.title.toLowerCase(), part.text.toLowerCase()]
    const page = book.pages[part.page]?.title ?? ''
    if (!words.every((word) => title.includes(word) || text.includes(word) || page.toLowerCase().includes(word))) continue
    const score = words.reduce((sum, word) => sum + (title.includes(word) ? 10 : 0) + (title.startsWith(word) ? 5 : 0) + Math.min(4, text.split(word).length - 1), 0)
    const at = Math.max(0, ...words.map((word) => text.indexOf(word)).filter((one) => one >= 0).slice(0, 1))
    const from = Math.max(0, at - AROUND)
    const around = `${from ? '…' : ''}${part.text.slice(from, at + AROUND)}${at + AROUND < part.text.length ? '…' : ''}`
    hits.push({ href: `/docs/${part.page}${part.id ? `#${part.id}` : ''}`, page, title: part.title, text: around, score })
  }
  return hits.sort((a, b) => b.score - a.score).slice(0, MOST)
}
